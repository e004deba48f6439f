package vaultapi

import (
	"context"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/call/sealed"
)

// Shared is where replicas keep their sessions, so that each knows those of all. Errors say
// that it cannot be reached: then no session is known, because it may have been revoked. What
// it keeps is sealed with a key that is made of the token, which it does not learn.
type Shared struct {
	// Get reads the entry of a name, nil for none.
	Get func(ctx context.Context, name string) ([]byte, error)
	// Put keeps an entry of an owner that is new for as long as is left of it, and reports
	// whether it did. Replace does that with one that is there.
	Put, Replace func(ctx context.Context, owner, name string, data []byte, left time.Duration) (bool, error)
	// Drop forgets an entry.
	Drop func(ctx context.Context, owner, name string) error
}

// record is a session as Shared keeps it.
type record struct {
	Caller   *call.Caller
	Accessor string
	Created  time.Time
	Expires  time.Time
	End      time.Time
	TTL      time.Duration
	Parents  []string `json:",omitempty"`
}

func box(token string) sealed.Box { return sealed.By("session of the Vault API", token) }

// fetch is the session of a token, nil for none.
func (sh *Shared) fetch(ctx context.Context, token string) (*session, error) {
	b := box(token)
	data, err := sh.Get(ctx, b.Name)
	if err != nil {
		return nil, away(err)
	}
	var r record
	if data == nil || !b.Open(data, &r) || r.Caller == nil || !time.Now().Before(r.Expires) {
		return nil, nil
	}
	for _, name := range r.Parents {
		switch parent, err := sh.Get(ctx, name); {
		case err != nil:
			return nil, away(err)
		case parent == nil:
			return nil, nil
		}
	}
	r.Caller.KeepKey()
	return &session{accessor: r.Accessor, caller: r.Caller, created: r.Created, expires: r.Expires, end: r.End, ttl: r.TTL, parents: r.Parents}, nil
}

// put keeps a session. Its error is NotFound for one to replace that is not there any more.
func (sh *Shared) put(ctx context.Context, token string, s *session, isNew bool) error {
	b := box(token)
	data := b.Seal(record{s.caller, s.accessor, s.created, s.expires, s.end, s.ttl, s.parents})
	put := sh.Replace
	if isNew {
		put = sh.Put
	}
	done, err := put(ctx, s.caller.Key(), b.Name, data, time.Until(s.expires))
	if err != nil {
		return away(err)
	}
	if !done {
		return call.Errorf(call.NotFound, "the session has ended")
	}
	return nil
}

func (sh *Shared) drop(ctx context.Context, token string, s *session) error {
	if err := sh.Drop(ctx, s.caller.Key(), box(token).Name); err != nil {
		return away(err)
	}
	return nil
}

func away(err error) error {
	return call.StoreAway("sessions cannot be looked up now; try again later", err)
}
