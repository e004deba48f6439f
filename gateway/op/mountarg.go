package op

import (
	"bytes"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"

	"portcullis/gateway/call"
)

// mountArgument names the mount of a call. It belongs to no operation's own input: Bind
// takes it out, and the policy sees it as resource.mount.
const mountArgument = "mount"

// choose adds the argument to a schema where there is more than one mount to choose.
func (s Spec) choose(in *jsonschema.Schema) {
	if len(s.More) == 0 {
		return
	}
	p := &jsonschema.Schema{Type: "string", Description: "the mount of the secrets engine, " + s.Mount + " when absent"}
	for _, m := range s.Mounts() {
		p.Enum = append(p.Enum, m.Path)
	}
	if in.Properties == nil {
		in.Properties = map[string]*jsonschema.Schema{}
	}
	in.Properties[mountArgument] = p
	if in.PropertyOrder != nil {
		in.PropertyOrder = append(in.PropertyOrder, mountArgument)
	}
}

// place is where a request is resolved, and its arguments without the mount.
func (o *Op) place(r *Request, raw jsontext.Value) (At, jsontext.Value, error) {
	at := At{Caller: r.Caller, Mounts: o.Mounts(), Absolute: r.Absolute, Transport: r.Transport, Chosen: r.Mount != ""}
	name, rest, given, err := takeMount(raw)
	if err != nil {
		return at, raw, err
	}
	if given && r.Mount != "" && name != r.Mount {
		return at, raw, call.Errorf(call.InvalidRequest, "argument mount: the URL names another mount")
	}
	if !given || o.Mount == "" {
		name, rest = r.Mount, raw // of an operation without a mount, the argument is as unknown as any
	}
	m, ok := o.MountAt(strings.Trim(name, "/"))
	if !ok {
		return at, raw, call.Errorf(call.InvalidRequest, "argument mount: no such mount; wanted is one of %s", strings.Join(paths(at.Mounts), ", "))
	}
	at.Chosen = at.Chosen || given
	return at.in(m), rest, nil
}

// takeMount takes the member mount out of an object. What is wrong with the rest of it,
// the walk over the arguments says.
func takeMount(raw jsontext.Value) (name string, rest jsontext.Value, given bool, err error) {
	if raw.Kind() != '{' || !bytes.Contains(raw, []byte(`"`+mountArgument+`"`)) {
		return "", raw, false, nil
	}
	dec := inPlace(raw, jsontext.AllowDuplicateNames(true))
	if _, err := dec.ReadToken(); err != nil {
		return "", raw, false, nil
	}
	rest = jsontext.Value{'{'}
	for dec.PeekKind() == '"' {
		key, err := dec.ReadValue()
		if err != nil {
			return "", raw, false, nil
		}
		key = slices.Clone(key)
		val, err := dec.ReadValue()
		if err != nil {
			return "", raw, false, nil
		}
		if string(key) != `"`+mountArgument+`"` {
			if len(rest) > 1 {
				rest = append(rest, ',')
			}
			rest = append(append(append(rest, key...), ':'), val...)
			continue
		}
		if given || val.Kind() != '"' && val.Kind() != 'n' {
			return "", raw, false, call.Errorf(call.InvalidRequest, "argument mount: wanted is one text")
		}
		if given = val.Kind() == '"'; given {
			text, _ := jsontext.AppendUnquote(nil, val)
			name, given = string(text), len(text) > 0
		}
	}
	return name, append(rest, '}'), given, nil
}
