package inspect

import (
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Record is one line of evidence as the tools read it. Members that a type of record
// does not have are empty.
type Record struct {
	Seq           uint64         `json:"seq"`
	Time          time.Time      `json:"time"`
	Prev          string         `json:"prev"`
	Type          string         `json:"type"` // intent, outcome, refusal, upkeep, or one of the log's own
	RequestID     string         `json:"request_id"`
	DecisionID    string         `json:"decision_id"`
	CorrelationID string         `json:"correlation_id"`
	Transport     string         `json:"transport"`
	Subject       string         `json:"subject"`
	Tenant        string         `json:"tenant"`
	Auth          string         `json:"auth"`
	KeyID         string         `json:"key_id"`
	JTI           string         `json:"jti"`
	SourceIP      string         `json:"source_ip"`
	OnBehalfOf    string         `json:"on_behalf_of"`
	BehalfTenant  string         `json:"on_behalf_of_tenant"`
	ClientName    string         `json:"client_name"`
	ClientVersion string         `json:"client_version"`
	Session       string         `json:"session"` // hashed
	TraceID       string         `json:"trace_id"`
	Op            string         `json:"op"`
	Effect        string         `json:"effect"`
	Mount         string         `json:"mount"`
	Path          string         `json:"path"`
	Args          jsontext.Value `json:"args"`
	Allow         bool           `json:"allow"`
	Tier          string         `json:"tier"`
	Revision      string         `json:"revision"`
	Deliver       string         `json:"deliver"`
	Masked        bool           `json:"masked"`
	Fields        []string       `json:"fields"`
	Reasons       []string       `json:"reasons"`
	Code          string         `json:"code"`
	Version       int            `json:"version"`
	Lease         string         `json:"lease_id_sha256"`
	LeaseSuffix   string         `json:"lease_id_suffix"`
	Serial        string         `json:"serial"`
	SerialDecimal string         `json:"serial_decimal"`
	User          string         `json:"user"`
	Expires       time.Time      `json:"expires"`
	Transforms    []Step         `json:"transforms"`
	DurationUS    int64          `json:"duration_us"`

	Cache           string `json:"cache"` // hit, where Vault was not asked
	VaultRequests   int    `json:"vault_requests"`
	VaultUnanswered int    `json:"vault_unanswered"`
	VaultErrors     int    `json:"vault_errors"`

	// Of upkeep.
	Method string `json:"method"`
	Caller string `json:"caller"`

	// Of counted refusals.
	Count int            `json:"count"`
	Codes map[string]int `json:"codes"`
	Ops   map[string]int `json:"ops"`
}

// Step is one transform that ran over a result.
type Step struct {
	Name   string `json:"name"`
	Result string `json:"result"`
}

// ParseRecord reads a line.
func ParseRecord(line []byte) (r Record, err error) {
	err = json.Unmarshal(line, &r, jsontext.AllowInvalidUTF8(true))
	return r, err
}

// Who is who called: the subject, behind its tenant when it has one.
func (r *Record) Who() string {
	if r.Type == "upkeep" {
		return strings.TrimPrefix(r.Caller, "/")
	}
	return within(r.Tenant, r.Subject)
}

// Behalf is on whose behalf the call was made, or who acted in the caller's name, empty
// for nobody.
func (r *Record) Behalf() string { return within(r.BehalfTenant, r.OnBehalfOf) }

// within is a subject behind its tenant when it has one.
func within(tenant, subject string) string {
	if tenant != "" {
		return tenant + "/" + subject
	}
	return subject
}

// parties names the caller, and who else the call was about.
func parties(who, behalf string) string {
	if behalf != "" {
		return Shown(who) + " for " + Shown(behalf)
	}
	return Shown(who)
}

// FullPath is what was acted on, with its mount; of upkeep, the path at Vault.
func (r *Record) FullPath() string {
	switch {
	case r.Mount == "":
		return r.Path
	case r.Path == "":
		return r.Mount
	}
	return r.Mount + "/" + r.Path
}

// form is how the result left: plain, masked or wrapped.
func (r *Record) form() string {
	if r.Masked && r.Deliver != "wrapped" {
		return "masked"
	}
	return r.Deliver
}

// cleanPath is a full path as people write it: with kv:// before it, or a slash.
func cleanPath(p string) string { return strings.Trim(strings.TrimPrefix(p, "kv://"), "/") }
