package edge

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"portcullis/gateway/call"
)

// target is the path of a URL, decoded exactly once, into segments. The router sees
// the segments escaped anew, so it can neither decode nor join them otherwise.
type target struct {
	segments []string // decoded; only one of a catch-all may have a slash in it
	slash    bool     // one slash at the end
	verb     string   // what follows the last colon of the last segment that was written as one
}

// parseTarget decodes an escaped path (RFC 3986 section 2.4). Refused are escapes that
// are none, empty, "." and ".." segments, and control characters. Errors are
// InvalidRequest and say what is wrong.
func parseTarget(escaped string) (target, error) {
	var t target
	rest, ok := strings.CutPrefix(escaped, "/")
	if !ok {
		return t, call.Errorf(call.InvalidRequest, "the path of the URL does not begin with a slash")
	}
	if rest, t.slash = strings.CutSuffix(rest, "/"); rest == "" {
		return t, nil
	}
	last := ""
	for raw := range strings.SplitSeq(rest, "/") {
		seg, err := url.PathUnescape(raw)
		if err != nil {
			return t, call.Errorf(call.InvalidRequest, "the path of the URL has a percent sign that escapes nothing: write it as %%25")
		}
		for part := range strings.SplitSeq(seg, "/") {
			if err := call.CheckSegment(part); err != nil {
				return t, err
			}
		}
		t.segments, last = append(t.segments, seg), raw
	}
	if i := strings.LastIndexByte(last, ':'); i >= 0 {
		t.verb = last[i+1:]
	}
	return t, nil
}

// routed is what the router sees of the path.
func (t target) routed() string {
	var b strings.Builder
	for _, seg := range t.segments {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(seg))
	}
	if b.Len() == 0 {
		return "/"
	}
	return b.String()
}

// Parameter is the name of a route's parameter, which stands for a segment (":name") or
// for the rest of the path ("*name"); empty when it has none.
func Parameter(pattern string) string {
	_, name, ok := strings.Cut(pattern, "/*")
	if !ok {
		_, name, _ = strings.Cut(pattern, "/:")
	}
	if end := strings.IndexAny(name, "/:"); end >= 0 { // what follows, or a verb
		name = name[:end]
	}
	return name
}

// value is what a route's parameter stands for, if it has one. In the catch-all of a
// secret's path an escaped slash is a slash, as generated clients send it; elsewhere it
// is refused, since nothing else has one in its name.
func (t target) value(pattern string) (string, error) {
	at, whole := strings.IndexAny(pattern, ":*"), strings.Contains(pattern, "*")
	single := t.segments // those in which a slash is none of a path
	if at >= 0 {
		at = strings.Count(pattern[:at], "/") - 1
	}
	if whole {
		single = t.segments[:at]
	}
	if slices.ContainsFunc(single, func(s string) bool { return strings.Contains(s, "/") }) {
		return "", call.Errorf(call.InvalidRequest, "an escaped slash (%%2F) is only taken in the path of a secret")
	}
	switch {
	case at < 0:
		return "", nil
	case !whole:
		return t.segments[at], nil
	}
	value := strings.Join(t.segments[at:], "/")
	if t.slash {
		value += "/"
	}
	return value, nil
}

// route finds the handler of a request. One slash at the end means nothing where no
// path of a secret ends in it.
func (e *Edge) route(w *writer, r *http.Request) {
	t, err := parseTarget(r.URL.EscapedPath())
	w.target = t
	path := t.routed()
	if err == nil {
		if h, ps, _ := e.router.Lookup(r.Method, path); h != nil {
			h(w, r, ps)
			return
		}
	}
	if !e.reserveAnonymous(w, r) {
		return
	}
	if err != nil {
		e.miss(w, r, call.AsError(err))
		return
	}
	e.noRoute(w, r, path)
}

// noRoute says what a path answers instead.
func (e *Edge) noRoute(w http.ResponseWriter, r *http.Request, path string) {
	allow := e.allowed(path)
	if allow == "" {
		e.miss(w, r, call.Errorf(call.UnknownOperation, "no such route"))
		return
	}
	w.Header().Set("Allow", allow)
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	e.miss(w, r, call.Errorf(call.MethodNotAllowed, "this route does not answer %s", r.Method))
}

// allowed names the methods that a path answers, empty when there are none.
func (e *Edge) allowed(path string) string {
	var methods []string
	for _, m := range []string{
		http.MethodDelete, http.MethodGet, http.MethodHead, "LIST", http.MethodPatch, http.MethodPost, http.MethodPut,
	} {
		if h, _, _ := e.router.Lookup(m, path); h != nil {
			methods = append(methods, m)
		}
	}
	if methods == nil {
		return ""
	}
	methods = append(methods, http.MethodOptions)
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}
