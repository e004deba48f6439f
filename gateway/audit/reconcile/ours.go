package reconcile

import (
	"strings"
	"time"

	"portcullis/gateway/audit/inspect"
)

// ours is what the gateway has on record of one correlation id.
type ours struct {
	seq      uint64
	time     time.Time
	kind     kind
	who      string
	op       string
	mount    string
	path     string
	code     string // empty while there is no outcome
	requests int    // that were sent to Vault
	lost     int    // of these, those without an answer
	errors   int
	counted  bool // the counts are on record

	seen, failed int // at Vault
	strayed      string
}

type kind byte

const (
	aCall kind = iota
	aRefusal
	anUpkeep
)

// record keeps what a line of evidence says about Vault.
func (s *sides) record(r *inspect.Record) {
	switch r.Type {
	case "intent", "outcome":
		if r.CorrelationID == "" {
			return // nothing is sent to Vault
		}
	case "refusal":
		r.CorrelationID = r.DecisionID
	case "upkeep":
	default:
		return
	}
	s.Records++
	if r.CorrelationID == "" {
		return
	}
	o := s.ours[r.CorrelationID]
	if o == nil {
		o = &ours{seq: r.Seq, time: r.Time, who: r.Who(), op: r.Op, mount: r.Mount, path: r.Path, kind: kindOf(r.Type)}
		s.ours[r.CorrelationID] = o
	}
	if r.Type == "refusal" {
		o.kind, o.code = aRefusal, r.Code
	}
	if r.Type != "intent" && r.Code != "" {
		o.code, o.counted = r.Code, true
		o.requests, o.lost, o.errors = r.VaultRequests, r.VaultUnanswered, r.VaultErrors
	}
	if o.code == "ok" && o.kind == aCall && o.requests == 0 && r.Cache == "" {
		o.requests = 1 // a success that was not sent
	}
}

func kindOf(t string) kind {
	switch t {
	case "upkeep":
		return anUpkeep
	case "refusal":
		return aRefusal
	}
	return aCall
}

// see counts a request that Vault has on record.
func (o *ours) see(e *entry) {
	o.seen++
	if e.failed() {
		o.failed++
	}
	at := e.Request.Path
	switch {
	case o.kind == anUpkeep && strings.Trim(at, "/") != strings.Trim(o.path, "/"), o.kind == aCall && !ownPath(o.op, o.mount, o.path, at):
		o.strayed = at
	}
}
