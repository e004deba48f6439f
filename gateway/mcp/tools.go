package mcp

import (
	"cmp"
	"context"
	"encoding/base64"
	"strings"

	"portcullis/gateway/mcp/protocol"
	"portcullis/gateway/op"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// listTools lists what the caller may call (tools/list).
func (ex *Exchange) listTools(ctx context.Context, c cursor) (result, error) {
	page, err := ex.page(c, "tools", len(ex.server.tools))
	if err != nil {
		return result{}, err
	}
	items, next := page.take(func(i int) jsontext.Value { return ex.server.tools[i].Offer(ctx, ex) })
	return result{body: listBody("tools", items, next), cache: true}, nil
}

// toolCall are the params of tools/call.
type toolCall struct {
	name  string
	args  jsontext.Value // nil when there are none; some clients send what a model wrote, as a text
	input inputParams
}

func readToolCall(r *protocol.Reader) toolCall {
	p := toolCall{name: r.Text("name"), args: r.Value("arguments"), input: readInputs(r)}
	if p.args = op.Textual(p.args, '{'); protocol.IsNothing(p.args) || string(p.args) == `""` {
		p.args = nil
	}
	return p
}

// arguments are an object, empty when none are given.
func (p toolCall) arguments() jsontext.Value {
	if p.args == nil {
		return jsontext.Value("{}")
	}
	return p.args
}

// callTool calls a tool (tools/call).
func (ex *Exchange) callTool(ctx context.Context, p toolCall) (result, error) {
	t := ex.server.byName[p.name]
	if t == nil || t.Offer(ctx, ex) == nil {
		return result{}, ex.unreadable(ctx, ex.unknownTool(ctx, p.name))
	}
	if p.args != nil && p.args.Kind() != '{' {
		return result{}, ex.unreadable(ctx, protocol.InvalidParams("params: arguments must be an object, not "+protocol.KindOf(p.args)))
	}
	purpose := "tool " + t.Name
	in, err := ex.readInput(ctx, p.input, purpose)
	if err != nil {
		return result{}, ex.unreadable(ctx, ex.faultOf(err))
	}
	ex.input = in
	due := asEvent
	if t.byCall {
		due = byCall
	}
	var body jsontext.Value
	err = ex.pay(ctx, due, func(ctx context.Context) (err error) { body, err = t.Call(ctx, ex, p.arguments()); return err })
	return ex.outcome(ctx, body, err, purpose)
}

// maxNear bounds how many tools an answer about an unknown one names.
const maxNear = 40

// unknownTool is also the answer for a tool that the caller could never call. It names
// those that the caller can.
func (ex *Exchange) unknownTool(ctx context.Context, name string) *protocol.Fault {
	var names []string
	for i := range ex.server.tools {
		if t := &ex.server.tools[i]; t.Offer(ctx, ex) != nil {
			names = append(names, ex.toolName(t))
		}
	}
	if len(names) == 0 {
		return protocol.InvalidParams("unknown tool; there is none that you may call")
	}
	msg := "unknown tool."
	if near := nearest(name, names); near != "" {
		msg = "unknown tool: did you mean " + near + "?"
	}
	return protocol.InvalidParams(msg + " Your tools are " + strings.Join(names[:min(len(names), maxNear)], ", "))
}

// toolName is a tool's name as this client is shown it.
func (ex *Exchange) toolName(t *Tool) string {
	if ex.server.dotted() {
		return t.Name
	}
	return cmp.Or(t.Alias, t.Name)
}

// dotted reports whether names are shown with dots.
func (s *Server) dotted() bool { return s.ToolNames == "dotted" }

// page is one page of a list.
type page struct {
	list    string
	from, n int
	size    int
}

// page reads the cursor of a list request. A cursor is a position in one list
// and gives no right, so it needs no signature; anything else is refused.
func (ex *Exchange) page(c cursor, list string, n int) (page, error) {
	p := page{list: list, n: n, size: ex.server.Limits.PageSize}
	if !c.given {
		return p, nil
	}
	var at int
	raw, err := base64.RawURLEncoding.Strict().DecodeString(c.text)
	name, pos, _ := strings.Cut(string(raw), " ")
	if err != nil || json.Unmarshal([]byte(pos), &at) != nil || name != list || at <= 0 || at >= n {
		return p, protocol.InvalidParams("unknown cursor: begin the list anew, without one")
	}
	p.from = at
	return p, nil
}

// take fills the page. item may return nil for entries that are left out.
func (p page) take(item func(int) jsontext.Value) (items []jsontext.Value, next string) {
	for i := p.from; i < p.n; i++ {
		it := item(i)
		if it == nil {
			continue
		}
		if len(items) == p.size {
			return items, base64.RawURLEncoding.EncodeToString([]byte(p.list + " " + string(protocol.MustJSON(i))))
		}
		items = append(items, it)
	}
	return items, ""
}

// listBody encodes a page.
func listBody(name string, items []jsontext.Value, next string) jsontext.Value {
	size := 64 + len(next)
	for _, it := range items {
		size += len(it) + 1
	}
	b := append(make([]byte, 0, size), `{"`...)
	b = append(append(b, name...), `":[`...)
	for i, it := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, it...)
	}
	b = append(b, ']')
	if next != "" {
		b = append(append(append(b, `,"nextCursor":"`...), next...), '"')
	}
	return append(b, '}')
}
