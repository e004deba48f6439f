package openapi

import (
	"slices"

	"github.com/google/jsonschema-go/jsonschema"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// askingHeaders are the headers by which a call asks for something. Who names a request
// or a trace may do so with every call.
func askingHeaders(o *op.Op) []parameter {
	names := []string{"X-Request-Id", "X-Correlation-Id"}
	if o.Engine != "self" {
		names = append(names, "X-Portcullis-Deliver", "X-Vault-Wrap-TTL")
	}
	var out []parameter
	for _, n := range names {
		out = append(out, parameter{Ref: "#/components/parameters/" + n})
	}
	return out
}

func parameters() map[string]parameter {
	out := map[string]parameter{}
	for name, p := range map[string]struct {
		about  string
		schema *jsonschema.Schema
	}{
		"X-Request-Id":     {"your name of the call, in every log; the gateway makes one where there is none", &jsonschema.Schema{Type: "string", Pattern: `^[\w.:-]{1,128}$`}},
		"X-Correlation-Id": {"your name of what the call belongs to", &jsonschema.Schema{Type: "string", Pattern: `^[\w.:-]{1,128}$`}},
		"X-Portcullis-Deliver": {"the form of the answer, never looser than what the policy says: masked is the structure without values, wrapped a token that opens once (see Wrapped)", &jsonschema.Schema{
			Type: "string", Enum: []any{string(call.Plain), string(call.Masked), string(call.Wrapped)},
		}},
		"X-Vault-Wrap-TTL": {"asks for a wrapped answer that can be opened for this time, seconds or a duration from 1s to 24h", &jsonschema.Schema{Type: "string"}},
		"Last-Event-ID":    {"the id of the last event that arrived: the stream goes on behind it", &jsonschema.Schema{Type: "string"}},
	} {
		out[name] = parameter{Name: name, In: "header", Description: p.about, Schema: p.schema}
	}
	return out
}

// answerHeaders are those of a call that was decided.
func answerHeaders() []string {
	return []string{"X-Request-Id", "X-Correlation-Id", "X-Decision-Id", "RateLimit", "RateLimit-Policy", "X-Cache", "Age"}
}

func headers(names ...string) map[string]header {
	out := map[string]header{}
	for _, n := range names {
		out[n] = header{Ref: "#/components/headers/" + n}
	}
	return out
}

func headerTable() map[string]header {
	out := map[string]header{}
	for name, about := range map[string]string{
		"X-Request-Id":     "names the call in every log",
		"X-Correlation-Id": "names what the call belongs to; yours, or the request id",
		"X-Decision-Id":    "names the decision, for GET /decisions/{decision_id}",
		"RateLimit":        "what is left in the bucket that the call has charged (draft-ietf-httpapi-ratelimit-headers)",
		"RateLimit-Policy": "that bucket",
		"Retry-After":      "when to come back, in seconds",
		"WWW-Authenticate": "which credential would do (RFC 9110 section 11.6.1)",
		"X-Cache":          "HIT or MISS, where the gateway was allowed to answer from its cache",
		"Age":              "how old an answer from the cache is, in seconds (RFC 9111 section 5.1)",
	} {
		s := &jsonschema.Schema{Type: "string"}
		if slices.Contains([]string{"Retry-After", "Age"}, name) {
			s.Type = "integer"
		}
		out[name] = header{Description: about, Schema: s}
	}
	return out
}
