package mcp

import (
	"net/url"
	"strconv"
	"strings"

	"portcullis/gateway/call"
)

// ref is what a resource URI means: a secret, or what lies below a prefix.
type ref struct {
	mount   string    // the KV mount
	path    call.Path // full path below it
	listing bool      // the URI ends in a slash
	version int       // 0 for the latest
	after   string    // of a listing: names behind this one only
}

// parseURI reads kv://{mount}/{full path}[?version=N], kv://{mount}/{prefix}/[?after=NAME],
// and kv://{subject}/{path} where the first segment is the caller's own subject and the path is relative.
// The path is unescaped once and must then be clean, so an escaped slash or
// percent sign is refused.
func (ex *Exchange) parseURI(uri string) (ref, bool) {
	rest, ok := strings.CutPrefix(uri, "kv://")
	if !ok {
		return ref{}, false
	}
	in, below := ex.server.mountOf(rest)
	mount := in != ""
	if !mount {
		if below, ok = strings.CutPrefix(rest, ex.Caller.Subject+"/"); !ok {
			return ref{}, false
		}
	}
	path, query, hasQuery := strings.Cut(below, "?")
	r, ok := parsePath(path)
	if hasQuery && ok {
		ok = r.readQuery(query)
	}
	r.mount = in
	if !mount {
		r.mount, r.path = ex.server.KVMount, ex.Caller.Prefix.Join(r.path)
	}
	return r, ok
}

// mountOf is the KV mount that a URI names, and what lies below it; "" for none.
func (s *Server) mountOf(rest string) (mount, below string) {
	if o := s.Catalogue.Get(opRead); o != nil {
		for _, m := range o.Mounts() {
			if b, ok := strings.CutPrefix(rest, m.Path+"/"); ok && len(m.Path) > len(mount) {
				mount, below = m.Path, b
			}
		}
	}
	if mount == "" {
		if b, ok := strings.CutPrefix(rest, s.KVMount+"/"); ok {
			return s.KVMount, b
		}
	}
	return mount, below
}

func parsePath(escaped string) (ref, bool) {
	if strings.Contains(strings.ToLower(escaped), "%2f") {
		return ref{}, false
	}
	s, err := url.PathUnescape(escaped)
	if err != nil {
		return ref{}, false
	}
	r := ref{listing: s == "" || strings.HasSuffix(s, "/")}
	if s == "" {
		return r, true
	}
	p, err := call.ParsePath(strings.TrimSuffix(s, "/"))
	r.path = p
	return r, err == nil
}

// readQuery reads the one parameter that each kind of URI has.
func (r *ref) readQuery(query string) (ok bool) {
	if !r.listing {
		r.version, ok = parseVersion(query)
		return ok
	}
	after, ok := strings.CutPrefix(query, "after=")
	name, err := url.PathUnescape(after)
	r.after = name
	return ok && err == nil && name != "" && len(name) <= call.MaxPath
}

func parseVersion(query string) (int, bool) {
	v, ok := strings.CutPrefix(query, "version=")
	n, err := strconv.Atoi(v)
	return n, ok && err == nil && n > 0
}

// uri is the canonical URI of a full path.
func (s *Server) uri(p call.Path, listing bool) string {
	var b strings.Builder
	b.WriteString("kv://" + s.KVMount)
	for seg := range strings.SplitSeq(p.String(), "/") {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(seg))
	}
	if listing && !p.IsZero() {
		b.WriteByte('/')
	}
	return b.String()
}
