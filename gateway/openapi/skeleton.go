package openapi

import (
	"github.com/google/jsonschema-go/jsonschema"

	"portcullis/gateway/call"
)

// skeleton is what every document has.
func skeleton() Document {
	return Document{
		OpenAPI: "3.1.1",
		Info: info{
			Title: "Portcullis", Version: "1",
			Description: "A gateway between agents and HashiCorp Vault. Every call is authenticated, decided by policy, limited and recorded.",
		},
		Servers:  []server{{URL: "/"}},
		Security: []map[string][]string{{"apiKey": {}}, {"bearer": {}}, {"certificate": {}}},
		Tags: []tag{
			{"kv", "Secrets with versions."},
			{"transit", "Encryption as a service: keys never leave Vault."},
			{"db", "Database credentials that end."},
			{"ssh", "One-time passwords and signed certificates."},
			{"self", "What the gateway knows of you."},
		},
		Paths: map[string]map[string]operation{},
		Components: components{
			Schemas: map[string]*jsonschema.Schema{"Error": errorSchema()},
			Responses: map[string]response{
				"BadRequest":      failure("The arguments are not what the schema asks for."),
				"Unauthenticated": failure("There is no credential, or it is not good."),
				"Denied":          failure("The policy denies the call."),
				"Limited":         failure("Too many calls; Retry-After says when to come back."),
				"Unavailable":     failure("Vault, or a part of the gateway, is away; nothing was done."),
				"Failed":          failure("The code says what went wrong."),
			},
			SecuritySchemes: map[string]map[string]string{
				"apiKey":      {"type": "apiKey", "in": "header", "name": "X-API-Key"},
				"bearer":      {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
				"certificate": {"type": "mutualTLS"},
			},
		},
	}
}

func failure(description string) response {
	return response{Description: description, Content: jsonContent(&jsonschema.Schema{Ref: "#/components/schemas/Error"})}
}

// errorSchema is the body of every error, see edge.ErrorBody.
func errorSchema() *jsonschema.Schema {
	text := func(description string) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "string", Description: description}
	}
	code := text("what went wrong")
	for _, c := range call.Codes() {
		code.Enum = append(code.Enum, string(c))
	}
	detail := &jsonschema.Schema{
		Type: "object", Required: []string{"code", "message"},
		Properties: map[string]*jsonschema.Schema{
			"code":            code,
			"message":         text("the same for people"),
			"decision_id":     text("names the decision in the audit log"),
			"request_id":      text("names the call in every log"),
			"retry_after_s":   {Type: "number", Description: "when to come back, in seconds"},
			"required_scopes": {Type: "array", Items: &jsonschema.Schema{Type: "string"}, Description: "scopes that the credential lacks"},
			"data":            {Description: "public facts, such as the metadata of a deleted version"},
		},
	}
	return &jsonschema.Schema{
		Type: "object", Required: []string{"error", "detail"},
		Properties: map[string]*jsonschema.Schema{"error": detail, "detail": text("text for old callers")},
	}
}
