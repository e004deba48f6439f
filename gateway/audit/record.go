package audit

import (
	"bytes"
	"net/netip"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// appendRecord appends one record. The fields of an intent and of its outcome are
// the same but for what came of it.
func (l *Log) appendRecord(b []byte, kind string, r *op.Record) ([]byte, error) {
	n := line{b: append(b, '{')}
	n.now()
	n.str("type", kind)
	n.str("request_id", r.Request.ID)
	n.str("decision_id", r.Decision.ID)
	n.str("transport", string(r.Request.Transport))
	n.caller(r.Request.Caller)
	n.origin(r.Request, l.cfg.Redact)
	n.str("op", opOf(r))
	if r.Bound != nil {
		n.bound(r.Bound, l.args)
		n.sent(kind, r)
	}
	n.decision(&r.Decision)
	if kind != "intent" {
		n.outcome(r)
	}
	return append(n.b, '}'), n.err
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

// line appends members to a JSON object; the first error stays.
type line struct {
	b   []byte
	err error
}

func (l *line) key(k string) {
	if l.b[len(l.b)-1] != '{' {
		l.b = append(l.b, ',')
	}
	l.b = append(l.b, '"')
	l.b = append(l.b, k...)
	l.b = append(l.b, '"', ':')
}

func (l *line) str(k, v string) {
	l.key(k)
	l.quote(v)
}

func (l *line) quote(v string) {
	b, err := jsontext.AppendQuote(l.b, v)
	if err != nil { // not UTF-8, which JSON cannot hold
		b, err = jsontext.AppendQuote(l.b, strconv.QuoteToASCII(v))
	}
	if err != nil {
		l.err = err
		return
	}
	l.b = b
}

// address appends an address. Its zone can be any text.
func (l *line) address(k string, a netip.Addr) {
	if a.Zone() != "" {
		l.str(k, a.String())
		return
	}
	l.key(k)
	l.b = append(a.AppendTo(append(l.b, '"')), '"')
}

// now appends the time.
func (l *line) now() {
	l.key("time")
	l.b = append(time.Now().UTC().AppendFormat(append(l.b, '"'), time.RFC3339Nano), '"')
}

func (l *line) num(k string, v int64) {
	l.key(k)
	l.b = strconv.AppendInt(l.b, v, 10)
}

func (l *line) list(k string, vs []string) {
	l.key(k)
	l.b = append(l.b, '[')
	for i, v := range vs {
		if i > 0 {
			l.b = append(l.b, ',')
		}
		l.quote(v)
	}
	l.b = append(l.b, ']')
}

func (l *line) caller(c *call.Caller) {
	l.str("subject", c.Subject)
	l.str("tenant", c.Tenant)
	l.str("auth", string(c.Method))
	l.str("key_id", c.KeyID)
	if c.SourceIP.IsValid() {
		l.address("source_ip", c.SourceIP)
	}
	if c.OnBehalfOf != nil {
		l.str("on_behalf_of", c.OnBehalfOf.Subject)
	}
	if b := c.Behalf; b != nil {
		l.str("on_behalf_of", b.Subject)
		l.str("on_behalf_of_tenant", b.Tenant)
		l.str("on_behalf_of_issuer", b.Issuer)
		l.str("on_behalf_of_jti", b.TokenID)
	}
}

func (l *line) bound(b *op.Bound, args *op.ArgumentRecorder) {
	l.str("effect", string(b.Op.Effect))
	l.str("mount", b.Resource.Mount)
	l.str("path", b.Resource.Path.String())
	l.key("args")
	var err error
	if l.b, err = args.Append(l.b, b); err != nil {
		l.err = err
	}
}

func (l *line) decision(d *op.Decision) {
	l.key("allow")
	l.b = strconv.AppendBool(l.b, d.Allow)
	l.str("tier", d.Tier)
	l.str("revision", d.Revision)
	l.str("deliver", string(d.Obligations.Deliver))
	l.shown(&d.Obligations)
	if len(d.Reasons) > 0 {
		codes := make([]string, len(d.Reasons))
		for i, r := range d.Reasons {
			codes[i] = r.Code
		}
		l.list("reasons", codes)
	}
}

func (l *line) outcome(r *op.Record) {
	l.str("code", r.Code())
	l.issued(&r.Outcome)
	l.traffic(r.Vault)
	if r.Cache.Hit {
		l.str("cache", "hit")
	}
	if len(r.Steps) > 0 {
		l.steps(r.Steps)
	}
	if r.UndoFailed {
		l.str("undo", "failed")
	}
	l.num("duration_us", time.Since(r.Start).Microseconds())
}

func (l *line) steps(steps []op.Step) {
	l.key("transforms")
	l.b = append(l.b, '[')
	for i, s := range steps {
		if i > 0 {
			l.b = append(l.b, ',')
		}
		l.b = append(l.b, '{')
		l.str("name", s.Name)
		l.str("args", s.Args)
		l.num("fuel", s.Fuel)
		l.str("result", s.Result)
		l.b = append(l.b, '}')
	}
	l.b = append(l.b, ']')
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
