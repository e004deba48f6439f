package export

import (
	"strconv"
	"time"
)

// ecs is the event in the Elastic Common Schema 8.17. What it has no field for is below
// portcullis (https://www.elastic.co/guide/en/ecs/current/ecs-custom-fields-in-ecs.html).
func (e event) ecs() object {
	ev := object{
		"kind": "event", "category": []string{"api"}, "type": []string{e.ecsType()}, "action": e.action(), "outcome": e.result(),
		"dataset": "portcullis.audit", "module": "portcullis", "sequence": e.Seq, "hash": e.sum(), "original": string(e.line),
	}
	ev.put("id", e.sum()).put("code", e.Code).put("provider", e.Transport)
	if e.DurationUS > 0 {
		ev["duration"] = e.DurationUS * int64(time.Microsecond)
	}
	if e.damaged() {
		ev["kind"] = "alert"
	}
	if len(e.Reasons) > 0 {
		ev["reason"] = e.Reasons[0]
	}
	o := object{"@timestamp": e.Time.UTC().Format(time.RFC3339Nano), "ecs": object{"version": "8.17.0"}, "message": e.sentence(), "event": ev}
	o.put("user", object{}.put("name", e.Subject).put("domain", e.Tenant).put("id", e.Who())).put("source", object{}.put("ip", e.SourceIP))
	o.put("trace", object{}.put("id", e.TraceID)).put("service", object{"name": "portcullis", "type": "portcullis"}.put("version", e.version))
	o.put("user_agent", object{}.put("name", e.ClientName).put("version", e.ClientVersion))
	related := object{}
	if who := e.Who(); who != "" {
		related["user"] = unique(who, e.Subject, e.OnBehalfOf, e.User)
	}
	if e.SourceIP != "" {
		related["ip"] = []string{e.SourceIP}
	}
	p := e.unmapped().put("path", e.FullPath()).put("op", e.Op).put("type", e.Type).put("prev", e.Prev).put("session", e.Session)
	p.put("jti", e.JTI).put("key_id", e.KeyID).put("on_behalf_of", e.OnBehalfOf).put("correlation_id", e.CorrelationID)
	return o.put("related", related).put("portcullis", p.put("request_id", e.RequestID).put("count", e.Count))
}

// ecsType is one of the values that ECS allows for event.type.
func (e event) ecsType() string {
	if e.Type == "refusal" || e.Type == "refusals" {
		return "denied"
	}
	switch id, _ := e.activity(); id {
	case 1:
		return "creation"
	case 2:
		return "access"
	case 3:
		return "change"
	case 4:
		return "deletion"
	}
	return "info"
}

func unique(names ...string) (out []string) {
	seen := map[string]bool{"": true}
	for _, n := range names {
		if !seen[n] {
			seen[n] = true
			out = append(out, n)
		}
	}
	return out
}

// number is a number as a text, empty for 0.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
