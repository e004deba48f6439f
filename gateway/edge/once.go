package edge

import (
	"net/http"

	"portcullis/gateway/call"
)

// Once is the value of a header that changes what a call means, "" for none. One that is
// there twice is refused: who added the second, as a proxy does that wants answers wrapped,
// meant that one.
func Once(h http.Header, name string) (string, error) {
	switch values := h.Values(name); len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	}
	return "", call.Errorf(call.InvalidRequest, "header %s: there more than once", name)
}
