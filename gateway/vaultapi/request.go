package vaultapi

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
	"portcullis/gateway/edge"
	"portcullis/gateway/op"
)

// verb is what Vault makes of a method: LIST is one of its own, and GET with ?list=true
// is the same (Vault API, "API operations").
type verb string

const (
	read   verb = "read"
	list   verb = "list"
	write  verb = "write"
	patch  verb = "patch"
	remove verb = "delete"
)

// methods are those that the API answers, each with its verb.
func methods() map[string]verb {
	return map[string]verb{
		http.MethodGet: read, http.MethodHead: read, "LIST": list, http.MethodPut: write, http.MethodPost: write,
		http.MethodPatch: patch, http.MethodDelete: remove,
	}
}

// verbOf is the verb of a request; a query that cannot be parsed asks for no list.
func verbOf(r *http.Request) verb {
	v := methods()[r.Method]
	if v == read && r.URL.RawQuery != "" {
		if query, err := url.ParseQuery(r.URL.RawQuery); err == nil && isTrue(query.Get("list")) {
			return list
		}
	}
	return v
}

// request is a request as the tables need it.
type request struct {
	http   *http.Request
	caller *call.Caller // nil where nobody has to say who it is
	id     string
	verb   verb
	path   string // below /v1/, decoded, without slashes at its ends
	query  url.Values
	body   map[string]jsontext.Value // members of the body's object, nil without a body
	raw    []byte                    // the body

	slash  bool       // the path had one at its end
	engine string     // of the mount, as the catalogue has it
	mount  op.Mount   // that the path begins with
	params parameters // of the row's pattern
}

// parse reads a request. Errors are call.Errors.
func parse(r *http.Request, c *call.Caller) (*request, error) {
	q := &request{http: r, caller: c, id: r.Header.Get("X-Request-Id"), verb: verbOf(r)}
	q.slash = strings.HasSuffix(r.PathValue("path"), "/")
	q.path = strings.Trim(r.PathValue("path"), "/")
	if err := q.readQuery(); err != nil {
		return q, err
	}
	ns, err := edge.Once(r.Header, "X-Vault-Namespace")
	if err != nil {
		return q, err
	}
	if ns = strings.Trim(ns, "/ "); ns != "" && ns != "root" {
		return q, call.Errorf(call.InvalidRequest, "namespaces are not supported: leave VAULT_NAMESPACE (X-Vault-Namespace) unset; the gateway knows the namespace of its Vault")
	}
	if q.verb != write && q.verb != patch {
		return q, nil
	}
	return q, q.readBody()
}

// readQuery reads the query. One that Vault and the gateway could read differently is
// refused, and so is a question about what a path is for.
func (q *request) readQuery() (err error) {
	if q.http.URL.RawQuery == "" {
		return nil
	}
	if q.query, err = url.ParseQuery(q.http.URL.RawQuery); err != nil {
		return call.Errorf(call.InvalidRequest, "the query of the URL cannot be parsed")
	}
	for name, values := range q.query {
		if len(values) > 1 {
			return call.Errorf(call.InvalidRequest, "the query has the parameter %s more than once", safe(name))
		}
	}
	for _, name := range []string{"list", "help"} {
		if text := q.query.Get(name); text != "" {
			yes, err := strconv.ParseBool(text)
			switch {
			case err != nil:
				return call.Errorf(call.InvalidRequest, "%s: neither true nor false", name)
			case yes && name == "help":
				return call.Errorf(call.InvalidRequest, "the gateway has no help about paths: it is in the documentation of Vault's API")
			}
		}
	}
	return nil
}

// mountType is the type of what the path lies in, as Vault has it.
func (q *request) mountType() string {
	if q.engine != "" {
		return engines()[q.engine]
	}
	switch first, rest, _ := strings.Cut(q.path, "/"); first {
	case "sys":
		return "system"
	case "auth":
		method, _, _ := strings.Cut(rest, "/")
		return method
	default:
		return first
	}
}

// isTrue reads a truth as Vault does.
func isTrue(s string) bool {
	yes, err := strconv.ParseBool(s)
	return err == nil && yes
}

// readBody reads the body, which is a JSON object whatever its media type: Vault's
// clients name several, and none at all.
func (q *request) readBody() (err error) {
	if q.raw, err = edge.ReadBody(q.http); err != nil || len(q.raw) == 0 {
		return err
	}
	if err := op.CheckJSON(q.raw); err != nil {
		return err
	}
	if jsontext.Value(q.raw).Kind() == 'n' {
		return nil
	}
	if json.Unmarshal(q.raw, &q.body) != nil {
		return call.Errorf(call.InvalidRequest, "the body is not a JSON object")
	}
	return nil
}

// text is a member of the body that is a text, "" for none.
func (q *request) text(name string) string {
	var s string
	if json.Unmarshal(q.body[name], &s) != nil {
		return ""
	}
	return s
}

// take makes arguments of members of the body by their names in Vault and here. What
// Vault only needs for what the gateway never does is dropped; anything else is refused,
// since it would change what the call means.
func (q *request) take(args map[string]any, names map[string]string, dropped ...string) error {
	for name, value := range q.body {
		here, known := names[name]
		switch {
		case known:
			args[here] = value
		case slices.Contains(dropped, name):
		default:
			return call.Errorf(call.InvalidRequest, "field %s: not supported through the gateway", safe(name))
		}
	}
	return nil
}

// safe is a name for a message: short and printable, or not quoted at all.
func safe(name string) string {
	if _, err := call.ParseName(name); err != nil {
		return "in the body"
	}
	return name
}

// same is the table of members that have the same name here.
func same(names ...string) map[string]string {
	m := make(map[string]string, len(names))
	for _, n := range names {
		m[n] = n
	}
	return m
}
