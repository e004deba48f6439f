package mcp

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"portcullis/gateway/mcp/protocol"

	"portcullis/gateway/op"
)

// View is the part of the tools that a client asks to see: fewer tools leave a model
// more room, and one that cannot write needs no trust. It only ever takes away; what
// may be called, the policy decides.
type View struct {
	Toolsets []string // engines of operations; none means all
	ReadOnly bool     // only what changes nothing
}

// The names by which a client asks over HTTP, each as a query parameter of the
// endpoint's URL or as a header.
const (
	queryToolsets  = "toolsets"
	queryReadOnly  = "readonly"
	headerToolsets = "X-MCP-Toolsets"
	headerReadOnly = "X-MCP-Readonly"
)

// allToolsets names every toolset at once.
const allToolsets = "all"

// ParseView reads a list of toolsets, separated by commas, and a flag; both may be
// empty. The toolsets must be among those known.
func ParseView(toolsets, readOnly string, known []string) (v View, err error) {
	for name := range strings.SplitSeq(toolsets, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		switch {
		case name == "" || name == allToolsets:
		case slices.Contains(known, name):
			v.Toolsets = append(v.Toolsets, name)
		default:
			return View{}, protocol.InvalidParams("toolsets: the names are " + allToolsets + ", " + strings.Join(known, ", ") + ", separated by commas")
		}
	}
	if readOnly = strings.TrimSpace(readOnly); readOnly != "" {
		if v.ReadOnly, err = strconv.ParseBool(strings.ToLower(readOnly)); err != nil {
			return View{}, protocol.InvalidParams("readonly: must be 1 or 0, true or false")
		}
	}
	return v, nil
}

// Header asks for the view over HTTP.
func (v View) Header() http.Header {
	h := http.Header{}
	h.Set(headerToolsets, strings.Join(v.Toolsets, ","))
	h.Set(headerReadOnly, strconv.FormatBool(v.ReadOnly))
	return h
}

// shows reports whether an operation is in the view.
func (v View) shows(o *op.Op) bool {
	return (len(v.Toolsets) == 0 || slices.Contains(v.Toolsets, o.Engine)) && (!v.ReadOnly || o.ReadOnly())
}

// viewOf is what a request asks to see.
func (s *Server) viewOf(r *http.Request) (View, *protocol.Fault) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return View{}, protocol.BadRequest(protocol.CodeInvalidParams, "the query of the URL cannot be parsed, so what it narrows is not known")
	}
	toolsets := slices.Concat(q[queryToolsets], r.Header.Values(headerToolsets))
	asked := r.Header.Values(headerReadOnly)
	for _, v := range q[queryReadOnly] {
		if v == "" {
			v = "1" // ?readonly alone asks for it as well
		}
		asked = append(asked, v)
	}
	readOnly := ""
	for _, v := range asked { // one that asks for it is enough, and one that is wrong is told
		if readOnly == "" || isFalse(readOnly) {
			readOnly = cmp.Or(v, readOnly)
		}
	}
	v, err := ParseView(strings.Join(toolsets, ","), readOnly, s.toolsets)
	if err != nil {
		return View{}, protocol.BadRequest(protocol.CodeInvalidParams, err.Error())
	}
	return v, nil
}

func isFalse(s string) bool {
	b, err := strconv.ParseBool(strings.ToLower(s))
	return err == nil && !b
}

// sees reports whether the client is shown an operation: by what it asks for, and by
// what the gateway is set to show at all.
func (ex *Exchange) sees(o *op.Op) bool { return ex.view.shows(o) && ex.server.View.shows(o) }
