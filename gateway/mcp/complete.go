package mcp

import (
	"context"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
)

// maxValues bounds the suggestions in one answer (MCP, completion).
const maxValues = 100

// complete suggests values for an argument (completion/complete): paths by
// listing through the pipeline, keys and roles from what the policy grants. What
// cannot be had is not suggested.
func (ex *Exchange) complete(ctx context.Context, params jsontext.Value) (result, error) {
	f, err := fields(params, "ref", "argument")
	if err != nil {
		return result{}, invalidParams("params: " + err.Error())
	}
	kind, err1 := fields(f[0], "type", "name")
	arg, err2 := fields(f[1], "name", "value")
	if err1 != nil || err2 != nil {
		return result{}, invalidParams("ref and argument must be objects")
	}
	ref, ok1 := text(kind[0])
	name, ok2 := text(arg[0])
	value, ok3 := text(arg[1])
	if !ok1 || !ok2 || !ok3 || (ref != "ref/prompt" && ref != "ref/resource") {
		return result{}, invalidParams("ref and argument are not as the protocol has them")
	}
	prompt, _ := text(kind[1])
	values := ex.suggest(ctx, prompt, name, value)
	return result{body: completion(values)}, nil
}

func completion(values []string) jsontext.Value {
	type suggestions struct {
		Values  []string `json:"values"`
		Total   int      `json:"total"`
		HasMore bool     `json:"hasMore"`
	}
	return mustJSON(struct {
		Completion suggestions `json:"completion"`
	}{suggestions{values[:min(len(values), maxValues)], len(values), len(values) > maxValues}})
}

// suggest returns the values that begin as what has been typed. Without a prompt
// the argument is that of the resource template, whose paths are full ones.
func (ex *Exchange) suggest(ctx context.Context, prompt, name, value string) []string {
	var all []string
	switch name {
	case "path":
		all = ex.paths(ctx, value, prompt == "")
	case "key", "role":
		all = ex.granted(ctx, prompt)
	}
	out := []string{}
	for _, v := range all {
		if strings.HasPrefix(v, value) {
			out = append(out, v)
		}
	}
	return out
}

// granted are the names that the caller may use with a prompt's first operation.
func (ex *Exchange) granted(ctx context.Context, prompt string) []string {
	for i := range ex.server.prompts {
		if p := &ex.server.prompts[i]; p.Name == prompt && len(p.Needs) > 0 && ex.offered(ctx, p) {
			return ex.names(ctx, ex.server.Catalogue.Get(p.Needs[0]))
		}
	}
	return nil
}

// paths lists the directory that a path begins with. Absolute paths begin at the
// caller's prefix, since nothing above it can be listed.
func (ex *Exchange) paths(ctx context.Context, value string, absolute bool) []string {
	own := ex.Caller.Prefix.String()
	if absolute && own != "" && len(value) <= len(own) {
		return []string{own + "/"}
	}
	dir := value[:strings.LastIndexByte(value, '/')+1]
	p, err := call.ParsePrefix(dir)
	if err != nil {
		return nil
	}
	full := p.Path
	if !absolute {
		full = ex.Caller.Prefix.Join(p.Path)
	}
	keys, _ := ex.list(ctx, full) // nothing to suggest is not an error
	for i, k := range keys {
		keys[i] = dir + k
	}
	return keys
}
