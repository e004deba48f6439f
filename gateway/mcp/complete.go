package mcp

import (
	"cmp"
	"context"
	"strings"

	"portcullis/gateway/mcp/protocol"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
)

// maxValues bounds the suggestions in one answer (MCP, completion).
const maxValues = 100

func readCompletion(r *protocol.Reader) (c Completion) {
	ref, arg := protocol.Reader{O: r.Object("ref"), Err: r.Err}, protocol.Reader{O: r.Object("argument"), Err: r.Err}
	switch ref.Text("type") {
	case "ref/prompt":
		c.Prompt = ref.Optional("name")
	case "ref/resource":
	default:
		ref.Fail("%s must be ref/prompt or ref/resource", "ref.type")
	}
	c.Argument, c.Value = arg.Text("name"), arg.Text("value")
	r.Err = cmp.Or(r.Err, ref.Err, arg.Err)
	return c
}

// complete suggests values for an argument (completion/complete). What cannot be had
// is not suggested.
func (ex *Exchange) complete(ctx context.Context, c Completion) (result, error) {
	out := []string{}
	for _, p := range ex.server.providers {
		if p.Complete == nil {
			continue
		}
		all, ok := p.Complete(ctx, ex, c)
		for _, v := range all {
			if strings.HasPrefix(v, c.Value) {
				out = append(out, v)
			}
		}
		if ok {
			break
		}
	}
	return result{body: completion(out)}, nil
}

func completion(values []string) jsontext.Value {
	type suggestions struct {
		Values  []string `json:"values"`
		Total   int      `json:"total"`
		HasMore bool     `json:"hasMore"`
	}
	return protocol.MustJSON(struct {
		Completion suggestions `json:"completion"`
	}{suggestions{values[:min(len(values), maxValues)], len(values), len(values) > maxValues}})
}

// completeNames suggests paths by listing through the pipeline, keys and roles from
// what the policy grants. Without a prompt the argument is that of the resource
// template, whose paths are full ones.
func completeNames(ctx context.Context, ex *Exchange, c Completion) ([]string, bool) {
	switch c.Argument {
	case "path":
		return ex.paths(ctx, c.Value, c.Prompt == ""), true
	case "key", "role":
		return ex.granted(ctx, c.Prompt), true
	}
	return nil, false
}

// granted are the names that the caller may use with a prompt's first operation.
func (ex *Exchange) granted(ctx context.Context, prompt string) []string {
	for _, t := range templates() {
		if t.name == prompt && ex.server.byName[t.needs[0]] != nil && t.offered(ctx, ex) {
			return ex.names(ctx, ex.server.Catalogue.Get(t.needs[0]))
		}
	}
	return nil
}

// paths lists the directory that a path begins with. Full paths begin at the caller's
// prefix or at one that it was granted, since nothing above those can be listed.
func (ex *Exchange) paths(ctx context.Context, value string, absolute bool) []string {
	if absolute {
		var roots []string
		for _, p := range ex.roots(ctx) {
			if root := p.String() + "/"; len(value) < len(root) && strings.HasPrefix(root, value) {
				roots = append(roots, root)
			}
		}
		if roots != nil {
			return roots
		}
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
