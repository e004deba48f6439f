package ops

import (
	"context"
	"slices"
	"strings"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/vault"
)

type kvListIn struct {
	Prefix call.Folder `json:"prefix,omitzero" jsonschema:"where to list below your own prefix, empty for all of it; kv://{mount}/{full path} for any other"`
	Limit  int         `json:"limit,omitzero" jsonschema:"how many names at most; 0 or absent for 200 over MCP and for all over REST"`
	After  string      `json:"after,omitzero" jsonschema:"names behind this one only: the next of the answer before"`
	full   call.Path
	guess  guess
	v1     bool // in a KV engine of version 1
}

// Target implements op.Target.
func (in *kvListIn) Target(at op.At) (call.Resource, error) {
	at, err := at.On(in.Prefix.Ref)
	if err != nil {
		return call.Resource{}, inArgument("prefix", err)
	}
	full, canonical, err := at.Resolve(in.Prefix.Ref)
	if err != nil {
		return call.Resource{}, inArgument("prefix", err)
	}
	if at.KV == 0 {
		return call.Resource{}, unknownVersion()
	}
	in.v1 = at.KV == 1
	if !at.Absolute {
		in.guess = meantFolder(in.Prefix.Ref, at)
		if in.Limit == 0 && (at.Transport == op.MCP || at.Transport == op.Stdio) {
			in.Limit = defaultList
		}
	}
	in.full, in.Prefix = full, call.Folder{Ref: canonical}
	return call.Resource{Mount: at.Mount, Path: full, Listing: true}, nil
}

// meantFolder is meant for a prefix, which may also be the whole of the caller's own, or
// of the mount.
func meantFolder(given call.Ref, at op.At) guess {
	inner, _, _ := unprefixed(given, at)
	switch whole := strings.TrimSuffix(inner, "/"); {
	case whole == "", given.IsURI():
	case whole == at.Own.String(), whole == at.Mount, given.Text() != inner && (whole == "data" || whole == "metadata"):
		return guess{hint: "your own secrets are listed with an empty prefix."}
	}
	return meant(given, at)
}

type kvListOut struct {
	Keys []string `json:"keys" jsonschema:"names, those with more below them ending in a slash"`
	Next string   `json:"next,omitempty" jsonschema:"what to pass as after for the names that follow, absent when there are none"`
}

// Complete implements vault.Reply.
func (o *kvListOut) Complete() bool { return o.Keys != nil }

// kvList lists. Vault hands out all names at once; what is asked for is cut out here.
func kvList(ctx context.Context, s *vault.Session, in kvListIn) (kvListOut, error) {
	var out kvListOut
	path := strings.TrimSuffix("metadata/"+in.full.String(), "/")
	if in.v1 {
		path = in.full.String()
	}
	err := s.List(ctx, path, &out)
	if call.Is(err, call.NotFound) {
		if in.guess.hint != "" {
			s.Warn("nothing is there: a prefix is relative to your own; " + in.guess.hint)
		}
		return kvListOut{Keys: []string{}}, nil
	}
	if err != nil {
		return out, err
	}
	out.Next = "" // whatever Vault has said of it
	return in.cut(out), nil
}

// cut keeps the names that are asked for.
func (in kvListIn) cut(out kvListOut) kvListOut {
	slices.Sort(out.Keys)
	if in.After != "" {
		i, found := slices.BinarySearch(out.Keys, in.After)
		if found {
			i++
		}
		out.Keys = out.Keys[i:]
	}
	if in.Limit > 0 && len(out.Keys) > in.Limit {
		out.Keys = out.Keys[:in.Limit]
		out.Next = out.Keys[in.Limit-1]
	}
	return out
}
