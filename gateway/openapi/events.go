package openapi

import (
	"net/http"

	"github.com/google/jsonschema-go/jsonschema"

	"portcullis/gateway/op"
)

const tagEvents = "events"

// describeEvents adds the routes that stream changes, see package sse.
func describeEvents(paths map[string]map[string]operation) {
	text := &jsonschema.Schema{Type: "string"}
	filter := []parameter{
		{Name: "path", In: "query", Description: "a full path below the KV mount; one that ends in a slash means all below it; may be repeated", Schema: &jsonschema.Schema{Type: "array", Items: text}},
		{Name: "type", In: "query", Description: "a kind of event; may be repeated", Schema: &jsonschema.Schema{Type: "array", Items: eventType()}},
	}
	stream := response{
		Description: "A stream of server-sent events. The data of each is an Event, but for that of the event reset, which says that events were lost.",
		Headers:     headers("X-Request-Id", "X-Correlation-Id"),
		Content:     map[string]media{"text/event-stream": {Schema: &jsonschema.Schema{Ref: "#/components/schemas/Event"}}},
	}
	get := operation{
		ID: "events.stream", Tags: []string{tagEvents}, Summary: "Follow changes", Effect: op.List,
		Description: "Tell of changes at and below the caller's prefix, or of what the filter names, as they happen.",
		Parameters: append(append([]parameter{}, filter...), parameter{
			Name: "ticket", In: "query", Description: "instead of a credential, from POST /events/ticket; its filter holds", Schema: text,
		}, parameter{Ref: "#/components/parameters/Last-Event-ID"}),
		Responses: failures(),
	}
	get.Responses["200"] = stream
	ticket := operation{
		ID: "events.ticket", Tags: []string{tagEvents}, Summary: "Get a ticket for a stream", Effect: op.List,
		Description: "Make a ticket with which a page, whose EventSource cannot send a credential, opens one stream.",
		Parameters:  filter, Responses: failures(),
	}
	ticket.Responses["201"] = response{Description: "The ticket.", Headers: headers("X-Request-Id", "X-Correlation-Id"), Content: jsonContent(&jsonschema.Schema{
		Type: "object", Required: []string{"ticket", "expires_in_s"}, Properties: map[string]*jsonschema.Schema{
			"ticket":       {Type: "string", Description: "opens GET /events?ticket=… once"},
			"expires_in_s": {Type: "integer", Description: "for how long, in seconds"},
		},
	})}
	paths["/events"] = map[string]operation{lower(http.MethodGet): get}
	paths["/events/ticket"] = map[string]operation{lower(http.MethodPost): ticket}
}

func eventType() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Enum: []any{"resource.changed", "tool.completed", "tools.changed", "prompts.changed"}}
}

// eventSchema is the data of an event.
func eventSchema() *jsonschema.Schema {
	text := func(about string) *jsonschema.Schema { return &jsonschema.Schema{Type: "string", Description: about} }
	return &jsonschema.Schema{
		Type: "object", Required: []string{"type", "time"}, Properties: map[string]*jsonschema.Schema{
			"type":    eventType(),
			"uri":     text("the changed secret, kv://{mount}/{full path}"),
			"path":    text("its full path below the mount"),
			"op":      text("the operation that changed it, where that is known"),
			"version": {Type: "integer", Description: "its new version, where that is known"},
			"subject": text("who changed it, where that is known"),
			"source":  {Type: "string", Enum: []any{"gateway", "poll", "audit", "vault"}, Description: "how the gateway knows"},
			"time":    {Type: "string", Format: "date-time"},
		},
	}
}

// wrappedSchema is what is answered instead of a result when a wrapped answer was
// asked for, or the policy wants one (Vault, response wrapping).
func wrappedSchema() *jsonschema.Schema {
	return &jsonschema.Schema{
		Type: "object", Required: []string{"wrap_info"}, Description: "instead of the result, when it is wrapped",
		Properties: map[string]*jsonschema.Schema{"wrap_info": {
			Type: "object", Required: []string{"token", "ttl", "creation_path"}, Properties: map[string]*jsonschema.Schema{
				"token":         {Type: "string", Description: "opens the answer once, at Vault's sys/wrapping/unwrap"},
				"ttl":           {Type: "integer", Description: "for how long, in seconds"},
				"creation_path": {Type: "string", Description: "where it was wrapped"},
			},
		}},
	}
}
