package mcp

import (
	"context"

	"github.com/go-json-experiment/json/jsontext"
)

// Provider adds to what the catalogue offers. The gateway runs without one; the
// conformance server adds the official suite's fixtures with it. What a provider
// offers does not reach Vault.
type Provider struct {
	Tools     []Tool
	Prompts   []Prompt
	Resources []jsontext.Value // entries of resources/list
	Templates []jsontext.Value // entries of resources/templates/list
	// Read returns the contents of a resource, an array; nil when it is not the
	// provider's.
	Read func(ctx context.Context, ex *Exchange, uri string) (contents jsontext.Value, err error)
	// Watched reports whether a resource of the provider can be subscribed to.
	Watched func(uri string) bool
}

// Tool is an extra tool.
type Tool struct {
	Name       string
	Definition jsontext.Value // the entry of tools/list
	// Headers are the arguments that a modern request repeats in a header
	// Mcp-Param-NAME, so that something in front of the gateway can route by them.
	Headers map[string]string
	// Call returns the result object. Its errors are faults, or an InputRequired.
	Call func(ctx context.Context, ex *Exchange, args jsontext.Value) (jsontext.Value, error)
}

func (ex *Exchange) callExtra(ctx context.Context, t *Tool, f []jsontext.Value) (result, error) {
	args := f[1]
	if args == nil {
		args = jsontext.Value("{}")
	}
	purpose := "tool " + t.Name
	var err error
	ex.input, err = ex.readInput(f[3], f[4], purpose)
	if err != nil {
		return result{}, err
	}
	body, err := t.Call(ctx, ex, args)
	return ex.outcome(body, err, purpose)
}

// Progress tells how far the call is, when the client asked for that.
func (ex *Exchange) Progress(done, total float64, msg string) {
	if ex.meta.progress == nil {
		return
	}
	ex.Notify("notifications/progress", struct {
		Token    jsontext.Value `json:"progressToken"`
		Progress float64        `json:"progress"`
		Total    float64        `json:"total"`
		Message  string         `json:"message,omitempty"`
	}{ex.meta.progress, done, total, msg})
}

// Notify sends a notification before the reply. It is lost when the client does
// not take streams.
func (ex *Exchange) Notify(method string, params any) {
	if ex.send == nil {
		return
	}
	_ = ex.send(notification(method, params))
}

func notification(method string, params any) []byte {
	return mustJSON(struct {
		Version string `json:"jsonrpc"`
		Method  string `json:"method"`
		Params  any    `json:"params,omitempty"`
	}{"2.0", method, params})
}
