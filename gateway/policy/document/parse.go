package document

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"portcullis/gateway/call"
)

// ParseInput reads an input that was written by hand or recorded, of either version. A
// field that is missing is filled in where it follows from others, and is an error where
// it would change the question (v, principal.id, action.op).
func ParseInput(raw []byte) (Input, error) {
	var in Input
	if err := json.Unmarshal(raw, &in, json.RejectUnknownMembers(true)); err != nil {
		return in, fmt.Errorf("read the input: %w", err)
	}
	if in.V < 1 || in.V > Version || in.Principal.ID == "" || in.Action.Op == "" {
		return in, fmt.Errorf("the input needs v 1 or %d, principal.id and action.op", Version)
	}
	in.upgrade()
	in.Context.Time.complete()
	if in.Resource.Path == "" {
		in.Resource.Ancestors, in.Resource.Segments = nil, nil
		in.relative()
		return in, nil
	}
	p, err := call.ParsePath(strings.TrimSuffix(in.Resource.Path, "/"))
	if err != nil {
		return in, fmt.Errorf("resource.path: %w", err)
	}
	in.Resource.Path, in.Resource.Segments = p.String(), segments(p.String())
	if behind := in.Resource.Mount + ":"; !slices.ContainsFunc(in.Resource.Ancestors, func(a string) bool { return strings.HasPrefix(a, behind) }) {
		in.Resource.Ancestors = p.Ancestors() // else they name one of several mounts
	}
	in.relative()
	return in, nil
}

// upgrade turns an input of version 1, where on_behalf_of was who acts for the
// principal and age_s was 0 when unknown, into one of this version.
func (in *Input) upgrade() {
	p := &in.Principal
	if in.V == 1 {
		if p.OnBehalfOf != nil && len(p.Actors) == 0 {
			p.Actors, p.OnBehalfOf = []Actor{{p.OnBehalfOf.ID, p.OnBehalfOf.Kind}}, nil
		}
		if p.Auth.AgeS != nil && *p.Auth.AgeS == 0 {
			p.Auth.AgeS = nil
		}
	}
	if in.V = Version; p.OnBehalfOf == nil {
		p.Acting = Actor{p.ID, p.Kind}
		p.delegate()
	}
}

// complete fills in the parts of a time that follow from the second, when it is given
// and they are not.
func (t *Time) complete() {
	if t.UnixS == 0 {
		return
	}
	at := time.Unix(t.UnixS, 0)
	if all := At(at); t.Date == "" {
		t.Date, t.MinuteUTC = all.Date, all.MinuteUTC
	}
}

// In fills in the local time of a zone, which is the policy's to say, when the second
// is given.
func (t *Time) In(zone *time.Location) {
	if t.UnixS != 0 {
		t.Local = local(time.Unix(t.UnixS, 0), zone)
	}
}
