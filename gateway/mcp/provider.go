package mcp

import (
	"context"

	"portcullis/gateway/mcp/protocol"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
	"portcullis/gateway/events"
)

// Provider offers tools, resources and prompts. The catalogue of operations is one;
// Config.Providers adds others, as the conformance suite's fixtures. A function that
// is nil offers nothing. Nothing but an operation of the catalogue reaches Vault; the
// use of anything else is charged and recorded before the provider is asked.
type Provider struct {
	Tools   []Tool
	Prompts []Prompt
	// Resources are entries of resources/list.
	Resources func(context.Context, *Exchange) ([]jsontext.Value, error)
	// Templates are entries of resources/templates/list.
	Templates func(context.Context, *Exchange) []jsontext.Value
	// Read returns the result of resources/read; nil when the URI is not the
	// provider's.
	Read func(ctx context.Context, ex *Exchange, uri string) (*Contents, error)
	// Topic is what a URI subscribes to; ok is false when it is not the provider's, or
	// the caller may not receive it.
	Topic func(ctx context.Context, ex *Exchange, uri string) (t events.Topic, ok bool)
	// MayReceive reports whether a caller may receive an event about a resource of the
	// provider; of those about secrets the policy decides.
	MayReceive func(context.Context, *call.Caller, events.Event) bool
	// Complete suggests values for an argument; ok is false when it is not the
	// provider's.
	Complete func(ctx context.Context, ex *Exchange, c Completion) (values []string, ok bool)
}

// Contents are those of a resource.
type Contents struct {
	List  jsontext.Value // an array (MCP, resources, reading)
	Fresh bool           // it must not be read from a cache, as a token that opens once
}

// Tool is something that a model can call.
type Tool struct {
	Name  string // as it is listed when names have dots
	Alias string // without dots, empty for none; calls accept both
	// Offer is the entry of tools/list for a caller, nil for a tool that it could never
	// call: that one looks unknown.
	Offer func(context.Context, *Exchange) jsontext.Value
	// Headers are the arguments that a modern request repeats in a header
	// Mcp-Param-NAME, so that something in front of the gateway can route by them.
	Headers map[string]string
	byCall  bool // an operation: the pipeline charges for it and records it
	// Call returns the result object. Its errors are faults, or an InputRequired.
	Call func(ctx context.Context, ex *Exchange, args jsontext.Value) (jsontext.Value, error)
}

// Prompt is a ready-made instruction.
type Prompt struct {
	Name       string
	Definition jsontext.Value // the entry of prompts/list
	// Offered reports whether the prompt is of use to a caller: one that is not looks
	// unknown. Nil offers it to everybody.
	Offered func(context.Context, *Exchange) bool
	// Get returns the result object of prompts/get.
	Get func(ctx context.Context, ex *Exchange, args map[string]string) (jsontext.Value, error)
}

// Completion is what completion/complete asks about.
type Completion struct {
	Prompt   string // empty for a resource template
	Argument string
	Value    string // what has been typed
}

// Progress tells how far the call is, when the client asked for that.
func (ex *Exchange) Progress(done, total float64, msg string) {
	if ex.msg.Meta.Progress == nil {
		return
	}
	ex.Notify("notifications/progress", struct {
		Token    jsontext.Value `json:"progressToken"`
		Progress float64        `json:"progress"`
		Total    float64        `json:"total"`
		Message  string         `json:"message,omitempty"`
	}{ex.msg.Meta.Progress, done, total, msg})
}

// Notify sends a notification before the reply. It is lost when the client does
// not take streams.
func (ex *Exchange) Notify(method string, params any) {
	if ex.send == nil {
		return
	}
	_ = ex.send(protocol.Notification(method, params))
}
