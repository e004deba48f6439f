package op

import (
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/vault"
)

// Stage is a part of a call whose time is kept.
type Stage int

// The stages in their order.
const (
	StageBind Stage = iota
	StageDecide
	StageLimit
	StageAudit
	StageVault
	StageTransform
	StageOutcome
	stages
)

// StageNames are the stages' names in log records.
func StageNames() [stages]string {
	return [stages]string{"bind", "decide", "limit", "audit", "vault", "transform", "outcome"}
}

// Record is what is known of one call. It is created when the call arrives,
// filled on its way by the pipeline, and read by audit, events, log and metrics.
// It holds no secret value.
type Record struct {
	Request  *Request
	Bound    *Bound // nil when the arguments could not be bound
	Decision Decision
	Err      *call.Error // nil for success
	Outcome  Outcome
	Cache    vault.CacheUse
	Vault    Traffic  // what was sent to Vault
	Warnings []string // Vault's, beside the result
	Bytes    int      // length of the result
	Steps    []Step
	Free     func() // Result.Free

	Intent     bool   // the intent is on record
	Evidence   []byte // of the intent, the members that the outcome repeats; package audit's alone
	Acted      bool   // the operation has done what it does, whatever came of its result
	AuditLost  bool   // the outcome could not be recorded
	UndoFailed bool   // what was minted for an undeliverable result may still live
	Panicked   bool

	Start time.Time
	Total time.Duration
	Times [stages]time.Duration
	last  time.Duration
}

// Mark ends a stage now.
func (r *Record) Mark(s Stage) {
	now := time.Since(r.Start)
	r.Times[s] += now - r.last
	r.last = now
}

// Code is the public code of the outcome, "ok" for success.
func (r *Record) Code() string {
	if r.Err == nil {
		return "ok"
	}
	return string(r.Err.Code)
}

// Traffic counts requests to Vault.
type Traffic = vault.Traffic

// Outcome are the public facts of a success that evidence keeps.
type Outcome struct {
	Version  int       // KV version written or read
	LeaseID  string    // shortened; never a whole lease id
	LeaseSum string    // SHA-256 of the whole lease id, in hex
	Serial   string    // of a certificate, in hex
	Decimal  string    // the same in decimal, as sshd logs it
	User     string    // of a database or a host
	Expires  time.Time // end of what was issued, zero for no end
}

// Step is one transform that ran over a result.
type Step struct {
	Name   string // and its digest: name@sha256:...
	Args   string // a hash: arguments may name secrets
	Fuel   int64
	Result string // "unchanged", "changed" or the code of a failure
}

// Reporter is implemented by results that have such facts.
type Reporter interface{ Facts() Outcome }

// Fielded is implemented by results that hold the fields of a secret: Only is the result
// with no others than those named.
type Fielded interface {
	Only(fields []string) (any, error)
}

// Facts returns the facts of a result.
func Facts(out any) Outcome {
	if r, ok := out.(Reporter); ok {
		return r.Facts()
	}
	return Outcome{}
}
