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
			{"pki", "Certificates of X.509 roles."},
			{"totp", "One-time codes: keys never leave Vault."},
			{"creds", "Credentials of further engines that end with their lease."},
			{"sys", "What is asked about answers."},
			{"self", "What the gateway knows of you."},
			{tagEvents, "Changes, as they happen."},
		},
		Paths: map[string]map[string]operation{},
		Components: components{
			Schemas:    map[string]*jsonschema.Schema{"Error": errorSchema(), "Event": eventSchema(), "Wrapped": wrappedSchema()},
			Parameters: parameters(),
			Headers:    headerTable(),
			Responses: map[string]response{
				"BadRequest":      failure("The arguments are not what the schema asks for."),
				"Unauthenticated": failure("There is no credential, or it is not good.", "WWW-Authenticate"),
				"Denied":          failure("The policy denies the call.", "WWW-Authenticate"),
				"NotFound":        failure("There is no such secret, key, role or route, or the version is deleted."),
				"Conflict":        failure("The secret has changed: its current version is not the one that the call names."),
				"CASRequired":     failure("The secret asks for cas."),
				"MediaType":       failure("The body must be JSON."),
				"Limited":         failure("Too many calls.", "Retry-After"),
				"BadGateway":      failure("Vault, or a transform of the result, has failed."),
				"Unavailable":     failure("Vault, or a part of the gateway, is away; nothing was done.", "Retry-After"),
				"Timeout":         failure("Vault did not answer in time; of a change it is not known whether it was made."),
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

// failureNames are the answers in which any call can end, by status.
func failureNames() map[string]string {
	return map[string]string{
		"400": "BadRequest", "401": "Unauthenticated", "403": "Denied", "404": "NotFound", "409": "Conflict", "415": "MediaType",
		"428": "CASRequired", "429": "Limited", "502": "BadGateway", "503": "Unavailable", "504": "Timeout", "default": "Failed",
	}
}

// failure is an answer with an error, and headers that come with it beside the ids.
func failure(description string, also ...string) response {
	return response{
		Description: description, Headers: headers(append([]string{"X-Request-Id", "X-Correlation-Id"}, also...)...),
		Content: jsonContent(&jsonschema.Schema{Ref: "#/components/schemas/Error"}),
	}
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
