package mcp

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/call/sealed"
	"portcullis/gateway/events"
	"portcullis/gateway/mcp/protocol"
	"portcullis/gateway/op"
)

// Shared is where replicas find each other's sessions. Its errors say that it cannot be
// reached, or are a *call.Error of one that takes no more. What it keeps is sealed with a key that is made of the session's id, which it
// does not learn: whoever reads it learns nothing, and whoever writes it can end sessions
// and not change them.
//
// What a replica has to know of a session is in its entry, and what another one has to be told
// is no more than to read it: Server.Changed is called with the name of an entry that another
// replica has changed or dropped, and Server.Missed when that may not have been done for a while.
type Shared struct {
	// Self is the name of this replica, of this run.
	Self string
	// Use reads the entry of a name, nil for none, and notes that it is used. Entries
	// belong to an owner, who has a bounded number, and end when they are not used.
	Use func(ctx context.Context, owner, name string) ([]byte, error)
	// Swap replaces an entry that is as was, nil for one that is not there, and reports
	// whether it did.
	Swap func(ctx context.Context, owner, name string, was, data []byte) (bool, error)
	// Drop forgets an entry.
	Drop func(ctx context.Context, owner, name string) error
	// Key is one that all replicas have, for what clients carry from one to another.
	Key func(ctx context.Context) ([32]byte, error)
	// Ask sends a message to another replica, which takes it by Server.Answer, and returns what
	// that one answers: nil when it is not there or does not answer in time.
	Ask func(ctx context.Context, replica string, message []byte) (answer []byte, err error)
}

// SharedBounds are those of the entries of one caller: sessions, bytes of all of them, and
// how long one is kept unused. They are the defaults of Limits.
func SharedBounds() (most, size int, idle time.Duration) {
	l := Limits{}.orDefault()
	return l.SessionsPerCaller, 1 << 20, l.SessionIdle
}

// record is a session as replicas hand it to each other: everything of it but what runs.
type record struct {
	N            int64         `json:"n,omitempty"` // changes so far
	Revision     string        `json:"revision"`
	Version      string        `json:"version"`
	Capabilities []string      `json:"capabilities,omitempty"`
	Client       op.Client     `json:"client"`
	Level        string        `json:"level,omitempty"`
	Cursor       string        `json:"cursor,omitempty"`
	Stream       string        `json:"stream,omitempty"` // replica that has the open one
	Topics       []sharedTopic `json:"topics,omitempty"`
	Cancelled    []cancelled   `json:"cancelled,omitempty"` // requests, the last ones
}

// cancelled is a request that the client has cancelled by the Nth change: it is stopped where
// it runs, and a later one of the same id is not.
type cancelled struct {
	ID string `json:"id"` // see idOf
	N  int64  `json:"n"`
}

// mostCancelled bounds those of a record.
const mostCancelled = 16

// idOf is a short name for the id of a request, which may be long.
func idOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// sharedTopic is a subscription: as the client wrote it, and what it means.
type sharedTopic struct {
	URI   string `json:"uri"`
	Mount string `json:"mount,omitempty"`
	Path  string `json:"path,omitempty"`
	Below bool   `json:"below,omitempty"`
}

// record is what others have to know of the session. The lock is held.
func (s *session) record() record {
	r := record{N: s.changes, Revision: s.revision, Version: s.version, Client: s.client, Level: s.logLevel, Cursor: s.cursor}
	for name := range s.capabilities {
		r.Capabilities = append(r.Capabilities, name)
	}
	for uri, t := range s.topics {
		r.Topics = append(r.Topics, sharedTopic{uri, t.Mount, t.Path.String(), t.Below})
	}
	return r
}

// topics reads the subscriptions back. What cannot be read is none.
func (r *record) topics() topics {
	ts := topics{}
	for _, t := range r.Topics {
		p, err := call.ParsePath(t.Path)
		if err == nil || t.Path == "" {
			ts[t.URI] = events.Topic{Mount: t.Mount, Path: p, Below: t.Below}
		}
	}
	return ts
}

// session makes a session of a record.
func (r *record) session(id, owner string) *session {
	s := &session{id: id, owner: owner, revision: r.Revision, version: r.Version, client: r.Client, cursor: r.Cursor, logLevel: r.Level, changes: r.N}
	s.capabilities = protocol.Capabilities{}
	for _, name := range r.Capabilities {
		s.capabilities[name] = true
	}
	return s
}

// sealedBy names a session to Shared, and closes what belongs to it.
func sealedBy(id string) sealed.Box { return sealed.By("session", id) }
