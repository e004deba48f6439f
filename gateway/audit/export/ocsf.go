package export

import (
	"strings"

	"portcullis/gateway/audit/inspect"
)

// ocsf is the event as API Activity (class 6003) of OCSF 1.9 with the profiles
// record_integrity, ai_operation and trace (https://schema.ocsf.io).
func (e event) ocsf() object {
	activity, name := e.activity()
	severity := e.severity()
	o := object{
		"category_uid": 6, "category_name": "Application Activity", "class_uid": 6003, "class_name": "API Activity",
		"activity_id": activity, "activity_name": name, "type_uid": 600300 + activity, "type_name": "API Activity: " + name,
		"severity_id": severity, "severity": []string{"Unknown", "Informational", "Low", "Medium", "High"}[severity],
		"time": e.Time.UnixMilli(), "metadata": e.metadata(), "message": e.sentence(), "actor": e.actor(), "api": e.api(),
		"src_endpoint": e.source(), "raw_data": string(e.line), "raw_data_hash": sha256Of(e.sum()), "raw_data_size": len(e.line),
		"attestation_list": []object{e.attestation()},
	}
	o["status_id"], o["status"] = 0, "Unknown"
	switch e.result() {
	case "success":
		o["status_id"], o["status"] = 1, "Success"
	case "failure":
		o["status_id"], o["status"] = 2, "Failure"
	}
	o.put("status_code", e.Code).put("status_detail", strings.Join(e.Reasons, ", ")).put("count", e.Count)
	o.put("duration", int(e.DurationUS/1000)).put("trace", object{}.put("uid", e.TraceID)).put("ai_agent", e.agent())
	if p := e.FullPath(); p != "" {
		o["resources"] = []object{object{"name": p, "type": e.kindOfResource(), "role_id": 1, "role": "Target"}.put("version", number(e.Version))}
	}
	return o.put("unmapped", e.unmapped())
}

// activity is what of create, read, update and delete the call is.
func (e event) activity() (id int, name string) {
	switch e.Effect {
	case "issue":
		return 1, "Create"
	case "read", "list":
		return 2, "Read"
	case "write":
		return 3, "Update"
	case "delete":
		return 4, "Delete"
	}
	switch e.Method {
	case "get":
		return 2, "Read"
	case "put", "post", "patch":
		return 3, "Update"
	case "delete":
		return 4, "Delete"
	}
	return 99, e.Type
}

// severity is Informational, Low for a failure, Medium for a refusal, and High where
// evidence is missing.
func (e event) severity() int {
	switch {
	case e.damaged():
		return 4
	case e.Type == "refusal", e.Type == "refusals":
		return 3
	case e.result() == "failure":
		return 2
	}
	return 1
}

func (e event) metadata() object {
	product := object{"name": "Portcullis", "vendor_name": "Portcullis"}.put("version", e.version)
	m := object{
		"version": "1.9.0", "product": product, "profiles": []string{"record_integrity", "ai_operation", "trace"},
		"log_name": "audit", "event_code": e.Type, "sequence": e.Seq, "original_time": e.Time.Format("2006-01-02T15:04:05.999999999Z07:00"),
	}
	return m.put("uid", e.sum()).put("correlation_uid", e.correlation()).put("tenant_uid", e.Tenant)
}

// correlation is what intent, outcome and Vault's own audit log have in common.
func (e event) correlation() string {
	if e.CorrelationID != "" {
		return e.CorrelationID
	}
	return e.DecisionID
}

func (e event) actor() object {
	subject := e.Subject
	if subject == "" {
		subject = e.Who()
	}
	a := object{}.put("user", object{}.put("name", subject).put("uid", e.Who()).put("credential_uid", e.KeyID).put("domain", e.Tenant))
	a.put("session", object{}.put("uid", e.Session).put("uid_alt", e.JTI)).put("invoked_by", e.OnBehalfOf)
	if len(a) == 0 {
		a["app_name"] = "Portcullis"
	}
	return a
}

func (e event) api() object {
	request := e.RequestID
	if request == "" {
		request = e.CorrelationID
	}
	a := object{"operation": e.action(), "service": object{"name": "Portcullis"}.put("version", e.version)}
	a.put("request", object{}.put("uid", request))
	if e.Code != "" {
		response := object{"message": e.Code}
		if e.result() == "failure" {
			response["error"] = e.Code
		}
		a["response"] = response
	}
	return a
}

// source is where the call came from. What the gateway does by itself comes from it.
func (e event) source() object {
	s := object{}.put("ip", e.SourceIP)
	if e.SourceIP == "" {
		s["svc_name"] = "Portcullis"
	}
	return s
}

// agent is the program that called, where it has named itself.
func (e event) agent() object {
	if e.ClientName == "" {
		return nil
	}
	return object{"name": e.ClientName, "type_id": 0, "type": "Unknown"}.put("version", e.ClientVersion).put("instance_uid", e.Session)
}

// attestation is the record's place in the chain. What is hashed is the line in raw_data,
// not this event.
func (e event) attestation() object {
	f := sha256Of(e.sum())
	f["serialization_id"], f["serialization"] = 99, "the text in raw_data"
	a := object{"authority_uid": "portcullis-audit", "fingerprint": f}
	if strings.Trim(e.Prev, "0") != "" {
		a["prev_event"] = object{"uid": e.Prev, "fingerprint": sha256Of(e.Prev)}
	}
	return a
}

func sha256Of(hex string) object {
	return object{"algorithm_id": 3, "algorithm": "SHA-256", "value": hex, "encoding_id": 1, "encoding": "Hex"}
}

func (e event) kindOfResource() string {
	if e.Type == "upkeep" {
		return "vault path"
	}
	engine, _, _ := strings.Cut(e.Op, ".")
	return engine
}

// unmapped is what the schema has no place for.
func (e event) unmapped() object {
	u := object{}.put("decision_id", e.DecisionID).put("transport", e.Transport).put("auth", e.Auth).put("tier", e.Tier)
	u.put("policy_revision", e.Revision).put("deliver", e.Deliver).put("fields", e.Fields).put("version", e.Version)
	u.put("lease_id_sha256", e.Lease).put("serial", e.Serial).put("serial_decimal", e.SerialDecimal).put("user", e.User)
	if e.Masked {
		u["masked"] = true
	}
	if !e.Expires.IsZero() {
		u["expires"] = e.Expires.UTC().Format("2006-01-02T15:04:05Z")
	}
	return u.put("transforms", steps(e.Transforms))
}

func steps(list []inspect.Step) (names []string) {
	for _, s := range list {
		names = append(names, s.Name+" "+s.Result)
	}
	return names
}
