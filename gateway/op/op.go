package op

import (
	"context"
	"fmt"

	"github.com/google/jsonschema-go/jsonschema"

	"portcullis/gateway/call"
	"portcullis/gateway/vault"
)

// Effect says what an operation does to the world.
type Effect string

// The effects. Issue mints a credential or a lease.
const (
	Read   Effect = "read"
	List   Effect = "list"
	Write  Effect = "write"
	Delete Effect = "delete"
	Issue  Effect = "issue"
)

// Spec is what a declaration says about an operation.
type Spec struct {
	Name   string  // dotted: "kv.read"
	Engine string  // "kv", "transit", "db", "ssh", "pki", "totp", "creds", "sys" or "self"
	Mount  string  // the engine's default mount in Vault, empty for self
	More   []Mount // further mounts of the engine
	Effect Effect
	// Unnamed says that the operation acts on nothing that has a name, so that its scope
	// alone grants it (policies/gateway/resources.rego).
	Unnamed bool
	// Destructive says that what the operation removes cannot be brought back, whatever
	// the arguments; Bound.Destructive says it of one call. The policy sees it.
	Destructive bool
	Replaces    bool   // changes or removes what was there, as MCP's destructiveHint has it
	Idempotent  bool   // a second call with the same arguments changes nothing more
	Method      string // HTTP method of the REST route
	VaultAPI    bool   // only Vault's own API has it: it is no tool, and has no route
	Path        string // httprouter pattern; a verb suffix follows a catch-all: "/secrets/*path:undelete"
	FullPath    string // the same for a full path, mount first: "/kv/*path:undelete"; empty for none
	Tagged      bool   // the version of the result is its entity tag over REST
	Status      int    // HTTP status of success, 0 for 200; 204 sends no body
	Title       string // for people
	Doc         string // one sentence
	Limits      map[string]Limit
	Public      bool // any authenticated caller may call it: no scope is needed
	OneTime     bool // what it mints ends with its first use: only the policy's own cap of its life holds, no default
	Needs       []Need
	Vault       vault.Use         // of its requests
	NeedsV1     []Need            // the same in a KV engine of version 1, nil for what it does not have
	Aliases     map[string]string // other names of arguments, by which name they stand for
	Hints       map[string]string // what to do instead, by arguments that are refused
	Headers     string            // the argument that a REST request's header names become, empty for none
}

// Need is what a token must be allowed in Vault for an operation to work.
type Need struct {
	Path string   // below the mount, or whole with a slash before it; {name} stands for the resource
	Can  []string // capabilities (Vault's policies)
}

// Limit is a constraint on one argument. It is part of the input schema and
// enforced when the call is bound.
type Limit struct {
	Min, Max *float64          // of a number
	Enum     []string          // of a string
	MaxItems int               // of a list
	MaxBytes int               // of a string, or of the JSON text of a list or an object
	Aliases  map[string]string // of a string, in lower case: other names of a value of Enum
	Default  any               // for the schema only
}

// Op is a declared operation. It is immutable.
type Op struct {
	Spec
	In, Out *jsonschema.Schema
	Of      string // the operation that each part of a call is one of, empty for a call of its own
	destroy bool   // the arguments may say that something is removed for good
	decode  func(raw []byte, at At) (Bound, error)
}

// At is where a call's arguments are resolved.
type At struct {
	Caller    *call.Caller
	Mount     string    // that the call names, else the operation's default one
	Own       call.Path // where the caller's own secrets live in it
	KV        int       // the version of a KV engine, 0 when it is not known yet
	Mounts    []Mount   // all of the operation's
	Chosen    bool      // the call names the mount
	Absolute  bool      // paths are full paths below the mount, not relative to the caller's prefix
	Transport Transport
}

// Target is what an input type implements: it resolves its names against the
// caller and returns what the operation acts on. It may store what it resolved.
// Its errors are InvalidRequest.
type Target[In any] interface {
	*In
	Target(At) (call.Resource, error)
}

// New declares an operation. In is a struct whose JSON fields are the arguments,
// Out one whose JSON fields are the result. It panics when the declaration is
// wrong, which a test of the catalogue shows.
func New[In, Out any, P Target[In]](s Spec, run func(context.Context, *vault.Session, In) (Out, error)) *Op {
	in, out := schemaFor[In](sent()), schemaFor[Out](shown())
	if s.Mount != "" {
		warn(out)
	}
	if err := s.constrain(in); err != nil {
		panic(fmt.Sprintf("operation %s: %v", s.Name, err))
	}
	s.choose(in)
	o := &Op{Spec: s, In: in, Out: out}
	_, o.destroy = any(new(In)).(Destroyer)
	o.decode = func(raw []byte, at At) (Bound, error) {
		v := new(In)
		if err := unmarshal(raw, v); err != nil {
			return Bound{}, err
		}
		res, err := P(v).Target(at)
		if err != nil {
			return Bound{}, err
		}
		if res.Mount == "" {
			res.Mount = at.Mount
		}
		return Bound{Op: o, Resource: res, Items: items(v), Destructive: s.Destructive || destroys(v), input: v, run: func(ctx context.Context, sess *vault.Session) (any, error) {
			return run(ctx, sess, *v)
		}}, nil
	}
	return o
}

// Destroyer is implemented by inputs whose arguments decide whether the call removes
// something that cannot be brought back.
type Destroyer interface{ Destroys() bool }

// Batch is implemented by inputs that may hold many items.
type Batch interface{ BatchLen() int }

func items(in any) int {
	if b, ok := in.(Batch); ok {
		return max(b.BatchLen(), 1)
	}
	return 1
}

func destroys(in any) bool {
	d, ok := in.(Destroyer)
	return ok && d.Destroys()
}

// MayDestroy reports whether some call of the operation removes something that cannot be
// brought back.
func (o *Op) MayDestroy() bool { return o.Destructive || o.destroy }

// NeedsNoGrant reports whether the operations of an engine act on nothing that is granted
// by name: self is what the gateway knows of a caller, sys what Vault keeps for it alone.
func NeedsNoGrant(engine string) bool { return engine == "self" || engine == "sys" }

// ReadOnly reports whether the operation changes nothing.
func (o *Op) ReadOnly() bool { return o.Effect == Read || o.Effect == List }
