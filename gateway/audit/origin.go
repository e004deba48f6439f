package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"portcullis/gateway/op"
)

// origin appends which program and which session a call comes from, and the trace that
// it belongs to. All of it is what the caller says, so it goes through the redactor.
func (l *line) origin(r *op.Request, redact op.Redact) {
	l.Opt("jti", r.Caller.TokenID)
	if r.Transport == op.MCP || r.Transport == op.Stdio {
		l.stated("client_name", r.Client.Name, redact)
		l.stated("client_version", r.Client.Version, redact)
	}
	session := r.Client.Session
	if session == "" {
		session = r.Trace.Session
	}
	if session != "" {
		l.hashed("session", session)
	}
	l.Opt("trace_id", r.Trace.TraceID())
}

// sent appends the X-Correlation-Id that Vault is sent with the call, where it is sent
// anything.
func (l *line) sent(kind string, r *op.Record) {
	if kind != "refusal" && r.Bound.Resource.Mount != "" {
		l.Opt("correlation_id", r.Decision.ID)
	}
}

// shown appends what of the result is shown, where that is not all of it.
func (l *line) shown(o *op.Obligations) {
	if o.Masked {
		l.Bool("masked", true)
	}
	if o.Fields != nil {
		l.List("fields", o.Fields)
	}
}

// issued appends what is known of a result: which version it was, which credential.
func (l *line) issued(o *op.Outcome) {
	if o.Version > 0 {
		l.Int("version", int64(o.Version))
	}
	l.Opt("lease_id_suffix", o.LeaseID)
	l.Opt("lease_id_sha256", o.LeaseSum)
	l.Opt("serial", o.Serial)
	l.Opt("serial_decimal", o.Decimal)
	l.Opt("user", o.User)
	if !o.Expires.IsZero() {
		l.Str("expires", o.Expires.UTC().Format(time.RFC3339))
	}
}

// traffic appends how many requests Vault has seen, which is what its own audit log is
// compared with.
func (l *line) traffic(t op.Traffic) {
	l.nonzero("vault_requests", t.Requests)
	l.nonzero("vault_unanswered", t.Unanswered)
	l.nonzero("vault_errors", t.Errors)
}

func (l *line) nonzero(k string, n int) {
	if n > 0 {
		l.Int(k, int64(n))
	}
}

// stated appends a text that the caller has written.
func (l *line) stated(k, v string, redact op.Redact) {
	if v == "" {
		return
	}
	if redact != nil {
		v = string(redact(nil, k, []byte(v)))
	}
	l.Str(k, v)
}

// details appends what a request changes that is no operation, in the place of arguments.
func (l *line) details(all []op.Detail, redact op.Redact) {
	l.Open("args")
	for _, d := range all {
		if d.Free {
			l.stated(d.Name, d.Value, redact)
		} else {
			l.Opt(d.Name, d.Value)
		}
	}
	l.Close()
}

// hashed appends the first half of the SHA-256 of a text, in hex: equal texts can be
// found, and nobody can use it as the text.
func (l *line) hashed(k, v string) {
	sum := sha256.Sum256([]byte(v))
	l.Key(k)
	l.B = append(l.B, '"')
	l.B = hex.AppendEncode(l.B, sum[:sha256.Size/2])
	l.B = append(l.B, '"')
}

// SessionHash is how a record names a session.
func SessionHash(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:sha256.Size/2])
}

// Upkeep is a request that the gateway sends to Vault for itself.
type Upkeep struct {
	ID     string // of this request alone: its X-Correlation-Id
	Method string // of HTTP
	Path   string // below /v1/
	Caller string // key of the caller that it is for, empty for the gateway itself
	Code   string // what came of it, "ok" for success; empty before it is sent
	Sent   op.Traffic

	// Evidence says that it signs or keeps a checkpoint: its lines do not ask for the next
	// one, which would go on for ever.
	Evidence bool
}

// Upkeep records a request that the gateway sends to Vault for itself: in a line before
// it, and in one with its code when it has ended. A request is sent even when its line
// cannot be written, which is counted: rights must be revoked and tokens renewed on a
// full disk too, and Vault's own audit log has it; `audit reconcile` shows it then.
func (l *Log) Upkeep(u Upkeep) {
	_ = l.put(nil, "upkeep", u.Evidence, func(b []byte) ([]byte, error) { // put has counted the failure
		n := begin(b)
		n.Time("time", time.Now().UTC())
		n.Str("type", "upkeep")
		n.Str("correlation_id", u.ID)
		n.Str("method", strings.ToLower(u.Method))
		n.Str("path", u.Path)
		n.Opt("caller", u.Caller)
		if u.Code != "" {
			n.Str("code", u.Code)
			n.traffic(u.Sent)
		}
		return n.End(), n.err
	})
}
