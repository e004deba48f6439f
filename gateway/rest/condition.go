package rest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// The entity tag of a secret is its version (RFC 9110 section 8.8.3): "3", and
// "3-masked" for the form without values. A secret that was deleted for good begins
// again at version 1.

// tagged sets the tag of what an operation has read or written, and reports whether
// there is one.
func tagged(h http.Header, o *op.Op, res *op.Result) bool {
	if !o.Tagged || res.Version == 0 || res.Deliver == call.Wrapped {
		return false
	}
	h.Set("ETag", tag(res))
	return true
}

func tag(res *op.Result) string {
	t := strconv.Itoa(res.Version)
	if res.Deliver == call.Masked {
		t += "-" + string(call.Masked)
	}
	return `"` + t + `"`
}

// unchanged reports whether a read finds what its caller has already (RFC 9110
// section 13.1.2). The call has been decided, made and recorded as any other.
func unchanged(r *http.Request, res *op.Result) bool {
	tags := list(r.Header, "If-None-Match")
	if r.Method != http.MethodGet && r.Method != http.MethodHead || tags == nil {
		return false
	}
	return slices.ContainsFunc(tags, func(t string) bool { return t == "*" || strings.TrimPrefix(t, "W/") == tag(res) })
}

// conditional reports whether a request depends on what is there.
func conditional(h http.Header) bool {
	return list(h, "If-Match") != nil || list(h, "If-None-Match") != nil
}

func list(h http.Header, name string) []string {
	var out []string
	for _, line := range h.Values(name) {
		for t := range strings.SplitSeq(line, ",") {
			if t = strings.TrimSpace(t); t != "" {
				out = append(out, t)
			}
		}
	}
	return out
}

// appendCondition makes If-Match, and If-None-Match: * of a write, the argument cas,
// so that Vault checks them. A condition that cannot be kept is refused.
func appendCondition(b []byte, r *http.Request, o *op.Op) ([]byte, error) {
	match, none := list(r.Header, "If-Match"), list(r.Header, "If-None-Match")
	if o.ReadOnly() {
		if match != nil {
			return nil, call.Errorf(call.InvalidRequest, "header If-Match: reads take If-None-Match")
		}
		return b, nil
	}
	var cas string
	switch {
	case match == nil && none == nil:
		return b, nil
	case o.In.Properties["cas"] == nil:
		return nil, call.Errorf(call.InvalidRequest, "headers If-Match and If-None-Match: this route takes no condition")
	case match != nil && none != nil:
		return nil, call.Errorf(call.InvalidRequest, "headers If-Match and If-None-Match: only one of them may be given")
	case none != nil:
		if o.Method != http.MethodPut || len(none) != 1 || none[0] != "*" {
			return nil, call.Errorf(call.InvalidRequest, "header If-None-Match: only * is taken here, and only with PUT, for a secret that is not there yet")
		}
		cas = "0"
	default:
		version, ok := versionOf(match)
		if !ok {
			return nil, call.Errorf(call.InvalidRequest, `header If-Match: must be one ETag of the secret, such as "3"`)
		}
		cas = version
	}
	if len(b) > 1 {
		b = append(b, ',')
	}
	return append(append(b, `"cas":`...), cas...), nil
}

// versionOf returns the version that a single tag stands for.
func versionOf(tags []string) (string, bool) {
	if len(tags) != 1 {
		return "", false
	}
	t, ok := strings.CutPrefix(strings.TrimPrefix(tags[0], "W/"), `"`)
	t, end := strings.CutSuffix(t, `"`)
	t = strings.TrimSuffix(t, "-"+string(call.Masked))
	return t, ok && end && t != "0" && integerRE.MatchString(t) && t[0] != '-'
}
