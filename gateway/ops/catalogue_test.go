package ops_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"portcullis/gateway/op"
	"portcullis/gateway/ops"
)

var dottedRE = regexp.MustCompile(`^(kv|transit|db|ssh|pki|totp|creds|self)\.[a-z_]+$`)

// Every declaration is complete: what is generated from it has no holes.
func TestCatalogue(t *testing.T) {
	routes := map[string]string{}
	for _, o := range catalogue(t).All() {
		t.Run(o.Name, func(t *testing.T) {
			if !dottedRE.MatchString(o.Name) || !strings.HasPrefix(o.Name, o.Engine+".") {
				t.Errorf("name %q does not follow engine.verb", o.Name)
			}
			if o.Title == "" || !strings.HasSuffix(o.Doc, ".") {
				t.Errorf("title %q or doc %q is not for people", o.Title, o.Doc)
			}
			if (o.Mount == "") != (o.Engine == "self") {
				t.Errorf("mount is %q", o.Mount)
			}
			if ours := o.Engine == "self" || o.Name == "db.leases" || o.Name == "pki.list" || o.Name == "ssh.lease" || o.Name == "ssh.revoke" || o.Of != ""; (len(o.Needs) == 0) != ours {
				t.Errorf("needs %v of Vault", o.Needs)
			}
			route := o.Method + " " + o.Path
			if other := routes[route]; other != "" && !o.VaultAPI {
				t.Errorf("%s is the route of %s as well", route, other)
			}
			if routes[route] = o.Name; (o.Path == "") != o.VaultAPI {
				t.Errorf("route %q, of Vault's API alone: %v", route, o.VaultAPI)
			}
			effects := []op.Effect{op.Read, op.List, op.Write, op.Delete, op.Issue}
			if !slices.Contains(effects, o.Effect) || (o.ReadOnly() && o.Replaces) || (o.Destructive && !o.Replaces) {
				t.Errorf("effect %q, replaces %v, destructive %v", o.Effect, o.Replaces, o.Destructive)
			}
		})
	}
}

// What is lost for good takes the scope of deleting.
func TestDestructiveOperationsDelete(t *testing.T) {
	for _, o := range catalogue(t).All() {
		if o.Destructive && o.Effect != op.Delete {
			t.Errorf("%s destroys and has the effect %s, want %s", o.Name, o.Effect, op.Delete)
		}
	}
	b, err := catalogue(t).Bind(&op.Request{Op: "kv.destroy", Args: []byte(`{"path":"a","versions":[1]}`), Caller: caller("agent")})
	if err != nil || !b.Destructive {
		t.Errorf("kv.destroy: got %v %v, want a destructive call", b, err)
	}
	b, err = catalogue(t).Bind(&op.Request{Op: "kv.delete", Args: []byte(`{"path":"a"}`), Caller: caller("agent")})
	if err != nil || b.Destructive {
		t.Errorf("kv.delete of a version, which can be undeleted: got %v %v, want one that is not destructive", b, err)
	}
}

// Every argument and every result says what it is.
func TestSchemas(t *testing.T) {
	for _, o := range catalogue(t).All() {
		t.Run(o.Name, func(t *testing.T) {
			for part, s := range map[string]*jsonschema.Schema{"in": o.In, "out": o.Out} {
				if s.Type != "object" {
					t.Errorf("%s is of type %q", part, s.Type)
				}
				described(t, part, s)
				if _, err := s.Resolve(nil); err != nil {
					t.Errorf("%s: %v", part, err)
				}
			}
			for name, l := range o.Limits {
				if l.Default != nil && len(l.Enum) > 0 && !slices.Contains(l.Enum, fmt.Sprint(l.Default)) {
					t.Errorf("the default of %s is not one of its values", name)
				}
				if l.Min != nil && l.Max != nil && *l.Min > *l.Max {
					t.Errorf("the limits of %s let nothing through", name)
				}
			}
		})
	}
}

func described(t *testing.T, at string, s *jsonschema.Schema) {
	t.Helper()
	for name, p := range s.Properties {
		if p.Description == "" {
			t.Errorf("%s.%s has no description", at, name)
		}
		described(t, at+"."+name, p)
	}
	if s.Items != nil {
		described(t, at+"[]", s.Items)
	}
}

// Undo is for results with leases alone.
func TestUndoNothing(t *testing.T) {
	if err := ops.Undo(t.Context(), nil, nil, struct{}{}); err != nil {
		t.Errorf("got %v, want nothing to undo", err)
	}
}

func ExampleNew() {
	c, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		panic(err)
	}
	o := c.Get("kv.read")
	fmt.Println(o.Method, o.Path, o.Effect)
	// Output: GET /secrets/*path read
}
