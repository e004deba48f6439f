// Package ops is the catalogue: one declaration per operation, one file per
// engine. An operation reads its typed input, talks to its granted mount through
// the session, and returns its typed output; everything else is the pipeline's.
package ops

import (
	"context"
	"slices"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// Mounts are the mounts of the engines in Vault, clean paths such as secret or team/kv,
// and what else operations need.
type Mounts struct {
	KV, Transit, Database, SSH string
	PKI, TOTP, Creds           string // empty for none

	// Wrapping says that wrapped answers are opened as well.
	Wrapping bool

	// More are further mounts, by engine: kv, transit, db, ssh, pki, totp or creds.
	More map[string][]op.Mount

	// Explain finds a decision about a caller. Its error is NotFound for what is not
	// the caller's. Nil knows none.
	Explain func(ctx context.Context, c *call.Caller, id string) (Explanation, error)
}

// place is where an engine is: its default mount and further ones.
type place struct {
	mount string
	more  []op.Mount
}

// New returns the catalogue.
func New(m Mounts) (*op.Catalogue, error) {
	return op.NewCatalogue(slices.Concat(
		kv(place{m.KV, m.More["kv"]}),
		transit(place{m.Transit, m.More["transit"]}),
		database(place{m.Database, m.More["db"]}),
		ssh(place{m.SSH, m.More["ssh"]}),
		pki(place{m.PKI, m.More["pki"]}),
		totp(place{m.TOTP, m.More["totp"]}),
		creds(place{m.Creds, m.More["creds"]}),
		wrapping(m.Wrapping),
		self(m),
	)...)
}

// need is a path in Vault with what must be allowed on it.
func need(path string, can ...string) []op.Need { return []op.Need{{Path: path, Can: can}} }
