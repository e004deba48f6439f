package audit

import (
	"bytes"
	"time"

	"github.com/go-json-experiment/json"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/op/jsonline"
)

// appendRecord appends one record. The fields of an intent and of its outcome are
// the same but for what came of it, and are written once for both.
func (l *Log) appendRecord(b []byte, kind string, r *op.Record) ([]byte, error) {
	n := begin(b)
	n.Time("time", time.Now().UTC())
	n.Str("type", kind)
	if kind == "outcome" && len(r.Evidence) > 0 {
		n.B = append(n.B, r.Evidence...)
	} else {
		from := len(n.B)
		l.asked(&n, kind, r)
		if kind == "intent" && n.err == nil {
			r.Evidence = bytes.Clone(n.B[from:])
		}
	}
	if kind != "intent" {
		n.outcome(r)
	}
	return n.End(), n.err
}

// asked appends who asks for what, and what was decided about it.
func (l *Log) asked(n *line, kind string, r *op.Record) {
	n.Str("request_id", r.Request.ID)
	n.Str("decision_id", r.Decision.ID)
	n.Str("transport", string(r.Request.Transport))
	n.caller(r.Request.Caller)
	n.origin(r.Request, l.cfg.Redact)
	n.Str("op", opOf(r))
	if r.Bound != nil {
		n.bound(r.Bound, l.args)
		n.sent(kind, r)
	} else if len(r.Request.Details) > 0 {
		n.details(r.Request.Details, l.cfg.Redact)
	}
	n.decision(&r.Decision)
}

// nameOf is what a call is about, empty for one of which nobody knows.
func nameOf(r *op.Record) string {
	if r.Bound == nil {
		return ""
	}
	return r.Bound.Op.Name + " " + r.Bound.Resource.Mount + "/" + r.Bound.Resource.Path.String()
}

// opOf names the operation. A name that is none is the caller's text, and not kept.
func opOf(r *op.Record) string {
	if r.Bound != nil {
		return r.Bound.Op.Name
	}
	if name, err := call.ParseName(r.Request.Op); err == nil && len(name) <= maxOp {
		return r.Request.Op
	}
	return "unknown"
}

// maxOp is the length up to which the name of an operation that was asked for is
// kept.
const maxOp = 64

// line is a record that is being written; the first error stays.
type line struct {
	jsonline.Object
	err error
}

func begin(b []byte) line { return line{Object: jsonline.Begin(b)} }

func (l *line) caller(c *call.Caller) {
	l.Str("subject", c.Subject)
	l.Str("tenant", c.Tenant)
	l.Str("auth", string(c.Method))
	l.Str("key_id", c.KeyID)
	if c.SourceIP.IsValid() {
		l.Address("source_ip", c.SourceIP)
	}
	if c.OnBehalfOf != nil {
		l.Str("on_behalf_of", c.OnBehalfOf.Subject)
	}
	if b := c.Behalf; b != nil {
		l.Str("on_behalf_of", b.Subject)
		l.Str("on_behalf_of_tenant", b.Tenant)
		l.Str("on_behalf_of_issuer", b.Issuer)
		l.Str("on_behalf_of_jti", b.TokenID)
	}
}

func (l *line) bound(b *op.Bound, args *op.ArgumentRecorder) {
	l.Str("effect", string(b.Op.Effect))
	l.Str("mount", b.Resource.Mount)
	l.Str("path", b.Resource.Path.String())
	l.Key("args")
	var err error
	if l.B, err = args.Append(l.B, b); err != nil {
		l.err = err
	}
}

func (l *line) decision(d *op.Decision) {
	l.Bool("allow", d.Allow)
	l.Str("tier", d.Tier)
	l.Str("revision", d.Revision)
	l.Str("deliver", string(d.Obligations.Deliver))
	l.shown(&d.Obligations)
	if len(d.Reasons) > 0 {
		codes := make([]string, len(d.Reasons))
		for i, r := range d.Reasons {
			codes[i] = r.Code
		}
		l.List("reasons", codes)
	}
}

func (l *line) outcome(r *op.Record) {
	l.Str("code", r.Code())
	l.issued(&r.Outcome)
	l.traffic(r.Vault)
	if r.Cache.Hit {
		l.Str("cache", "hit")
	}
	if len(r.Steps) > 0 {
		l.steps(r.Steps)
	}
	if r.UndoFailed {
		l.Str("undo", "failed")
	}
	l.Int("duration_us", time.Since(r.Start).Microseconds())
}

func (l *line) steps(steps []op.Step) {
	l.Key("transforms")
	l.B = append(l.B, '[')
	for i, s := range steps {
		if i > 0 {
			l.B = append(l.B, ',')
		}
		l.B = append(l.B, '{')
		l.Str("name", s.Name)
		l.Str("args", s.Args)
		l.Int("fuel", s.Fuel)
		l.Str("result", s.Result)
		l.B = append(l.B, '}')
	}
	l.B = append(l.B, ']')
}

// sameNames tells whether a filter has left everything alone that says who did what:
// it may change values, but it cannot speak for somebody else.
func sameNames(before, after []byte) bool {
	a, ok := namesOf(before)
	b, valid := namesOf(after)
	return ok && valid && a == b
}

// names are the members that no filter changes: who did what, how it left, and what
// connects the record with others.
type names struct {
	Time        string `json:"time"`
	Type        string `json:"type"`
	RequestID   string `json:"request_id"`
	Decision    string `json:"decision_id"`
	Correlation string `json:"correlation_id"`
	Transport   string `json:"transport"`
	Subject     string `json:"subject"`
	Tenant      string `json:"tenant"`
	Auth        string `json:"auth"`
	KeyID       string `json:"key_id"`
	JTI         string `json:"jti"`
	SourceIP    string `json:"source_ip"`
	OnBehalfOf  string `json:"on_behalf_of"`
	Session     string `json:"session"`
	TraceID     string `json:"trace_id"`
	Op          string `json:"op"`
	Effect      string `json:"effect"`
	Mount       string `json:"mount"`
	Path        string `json:"path"`
	Allow       bool   `json:"allow"`
	Revision    string `json:"revision"`
	Deliver     string `json:"deliver"`
	Masked      bool   `json:"masked"`
	Code        string `json:"code"`
	Version     int    `json:"version"`
	Lease       string `json:"lease_id_sha256"`
	Serial      string `json:"serial"`
	User        string `json:"user"`
	Expires     string `json:"expires"`
	Requests    int    `json:"vault_requests"`
	Unanswered  int    `json:"vault_unanswered"`
	Errors      int    `json:"vault_errors"`
	Method      string `json:"method"`
	Caller      string `json:"caller"`
	Count       int    `json:"count"`
	Seq         any    `json:"seq"` // the chain adds it
	Prev        any    `json:"prev"`
}

func namesOf(record []byte) (n names, ok bool) {
	if len(record) < 3 || record[0] != '{' || bytes.IndexByte(record, '\n') >= 0 {
		return n, false
	}
	err := json.Unmarshal(record, &n)
	return n, err == nil && n.Seq == nil && n.Prev == nil
}
