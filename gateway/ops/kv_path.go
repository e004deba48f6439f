package ops

import (
	"strings"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/vault"
)

// secret is the target of every operation on one secret.
type secret struct {
	Path  call.Ref `json:"path" jsonschema:"path below your own prefix; kv://{mount}/{full path} for any other"`
	full  call.Path
	guess guess
	v1    bool // in a KV engine of version 1
}

// Target implements op.Target.
func (s *secret) Target(at op.At) (call.Resource, error) {
	given := s.Path
	at, err := at.On(given)
	if err != nil {
		return call.Resource{}, inArgument("path", err)
	}
	full, canonical, err := at.Resolve(given)
	if err != nil {
		return call.Resource{}, inArgument("path", err)
	}
	if full.IsZero() {
		return call.Resource{}, call.Errorf(call.InvalidRequest, "argument path: names the mount, and no secret in it")
	}
	s.full, s.Path, s.v1 = full, canonical, at.KV == 1
	if at.KV == 0 {
		return call.Resource{}, unknownVersion()
	}
	if !at.Absolute {
		s.guess = meant(given, at)
	}
	return call.Resource{Mount: at.Mount, Path: full}, nil
}

// writes is Target for what may make a new secret: a path that is almost certainly the
// wrong form of another is refused, rather than made.
func (s *secret) writes(at op.At) (call.Resource, error) {
	r, err := s.Target(at)
	if err != nil || !s.guess.sure {
		return r, err
	}
	return call.Resource{}, call.Errorf(call.InvalidRequest, "argument path: is relative to your own prefix; %s If the secret is to lie there, write %s",
		s.guess.hint, call.URI(strings.Split(r.Mount+"/"+s.full.String(), "/")))
}

// missing adds to a not-found error which path may have been meant. It is told from the
// form of the path alone, so it says nothing about what there is.
func (s *secret) missing(err error) error {
	if s.guess.hint == "" || !call.Is(err, call.NotFound) {
		return err
	}
	return call.Wrap(call.NotFound, "not found: a path is relative to your own prefix; "+s.guess.hint, err)
}

// uri is the full path of the secret in the granted mount.
func (s *secret) uri(sess *vault.Session) string {
	return call.URI(strings.Split(sess.Grant().Terms().Resource.Mount+"/"+s.full.String(), "/"))
}

// guess is which other path may be meant by one in a wrong form.
type guess struct {
	hint string // a sentence, empty for none
	sure bool   // nobody names a secret like that on purpose
}

// meant looks for the wrong forms of a path: with the mount before it, with Vault's
// data/ in it, with the caller's own prefix before it.
func meant(given call.Ref, at op.At) guess {
	own := at.Own.String()
	inner, mounted, api := unprefixed(given, at)
	below, whole := form(inner, own+"/")
	switch {
	case given.IsURI() && api:
		return guess{hint: "did you mean " + call.URI(strings.Split(at.Mount+"/"+inner, "/")) + "? A full path has no data/ in it."}
	case given.IsURI():
		return guess{}
	case own != "" && whole:
		return guess{"did you mean " + below + "?", api || strings.Contains(own, "/")}
	case mounted:
		return guess{"did you mean " + inner + ", or the full path " + call.URI(strings.Split(at.Mount+"/"+inner, "/")) + "?", api}
	}
	return guess{}
}

// unprefixed is a path without the mount and Vault's data/ or metadata/ before it, and
// whether they were there.
func unprefixed(given call.Ref, at op.At) (inner string, mounted, api bool) {
	rest, mounted := form(given.Text(), at.Mount+"/")
	inner, api = form(rest, "data/")
	if !api {
		inner, api = form(rest, "metadata/")
	}
	switch {
	case !mounted:
		inner = given.Text()
	case !api:
		inner = rest
	}
	return inner, mounted, api
}

// form cuts a beginning that leaves something.
func form(s, beginning string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(s, beginning)
	return rest, ok && rest != ""
}

func inArgument(name string, err error) error {
	e := call.AsError(err)
	return &call.Error{Code: e.Code, Msg: "argument " + name + ": " + e.Msg}
}
