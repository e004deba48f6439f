package audit

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// appendRecord appends one line, without its end. The fields of an intent and of its outcome are
// the same but for what came of it.
func appendRecord(b []byte, kind string, r *op.Record) ([]byte, error) {
	l := line{b: append(b, '{')}
	l.str("time", time.Now().UTC().Format(time.RFC3339Nano))
	l.str("type", kind)
	l.str("request_id", r.Request.ID)
	l.str("decision_id", r.Decision.ID)
	l.str("transport", string(r.Request.Transport))
	l.caller(r.Request.Caller)
	l.str("op", r.Request.Op)
	if r.Bound != nil {
		l.bound(r.Bound)
	}
	l.decision(&r.Decision)
	if kind != "intent" {
		l.outcome(r)
	}
	return append(l.b, '}'), l.err
}

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
	if err != nil {
		// Invalid UTF-8 has been replaced in what was appended.
		b, err = jsontext.AppendQuote(l.b, strconv.QuoteToASCII(v))
	}
	if err != nil {
		l.err = err
		return
	}
	l.b = b
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
		l.str("source_ip", c.SourceIP.String())
	}
	if c.OnBehalfOf != nil {
		l.str("on_behalf_of", c.OnBehalfOf.Subject)
	}
}

func (l *line) bound(b *op.Bound) {
	l.str("effect", string(b.Op.Effect))
	l.str("mount", b.Resource.Mount)
	l.str("path", b.Resource.Path.String())
	l.key("args")
	args, err := b.Values()
	if err != nil {
		l.err = err
		return
	}
	l.b = append(l.b, args...)
}

func (l *line) decision(d *op.Decision) {
	l.key("allow")
	l.b = strconv.AppendBool(l.b, d.Allow)
	l.str("tier", d.Tier)
	l.str("revision", d.Revision)
	l.str("deliver", string(d.Obligations.Deliver))
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
	if r.Outcome.Version > 0 {
		l.num("version", int64(r.Outcome.Version))
	}
	if r.Outcome.LeaseID != "" {
		l.str("lease_id_suffix", r.Outcome.LeaseID)
	}
	if r.Outcome.Serial != "" {
		l.str("serial", r.Outcome.Serial)
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
