package vault

import (
	"errors"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
)

// Reply is what an operation reads of the data of one answer of Vault's.
type Reply interface {
	// Complete reports whether the answer had everything that the operation needs. One
	// that had not is no success, whatever its status was.
	Complete() bool
}

// answer is the outer form of Vault's answers (Vault API) with what is needed of it:
// its zero value needs nothing but that Vault has answered.
type answer struct {
	RequestID string         `json:"request_id"`
	Data      any            `json:"data"` // before decoding: a pointer to where the data go
	Auth      *authReply     `json:"auth"`
	WrapInfo  *WrapInfo      `json:"wrap_info"`
	Warnings  []string       `json:"warnings"`
	Errors    jsontext.Value `json:"errors"`
	Lease

	missing func(*answer) string // says what is missing, "" for nothing
	text    bool                 // the answer is plain text, not JSON
	body    string               // the text
	data    []byte               // the data as they came, kept for an answer with warnings
}

// wantData needs data that are complete.
func wantData(r Reply) *answer {
	a := &answer{missing: func(a *answer) string {
		if a.Data == nil || !r.Complete() {
			return "data"
		}
		return ""
	}}
	a.Data = r
	return a
}

// wantLease needs a lease.
func wantLease() *answer {
	return &answer{missing: func(a *answer) string {
		if a.ID == "" || a.Duration <= 0 {
			return "a lease"
		}
		return ""
	}}
}

// wantText needs plain text, which Vault answers with in a few places.
func wantText() *answer { return &answer{text: true} }

// isNothing reports whether a status says that there is no answer beyond it.
func isNothing(status int, raw []byte) bool {
	return status == http.StatusNoContent && len(raw) == 0
}

// decode fills the answer from a reply with a status of success. The error says what
// is wrong with it and quotes nothing.
func (a *answer) decode(status int, raw []byte) error {
	switch {
	case a.text:
		a.body = string(raw)
		return nil
	case isNothing(status, raw) && a.missing == nil:
		return nil
	}
	var kind jsontext.Value = raw
	if kind.Kind() != '{' || json.Unmarshal(raw, a) != nil {
		return errors.New("it is not of the form of Vault's answers")
	}
	if a.RequestID == "" && a.WrapInfo == nil { // an answer that is wrapped has its id inside
		return errors.New("it has no request_id, so something else than Vault has answered")
	}
	if k := a.Errors.Kind(); k != 0 && k != 'n' {
		return errors.New("it has a status of success and errors")
	}
	a.keepData(raw)
	if a.missing != nil {
		if what := a.missing(a); what != "" {
			return errors.New("it lacks " + what)
		}
	}
	return nil
}

// keepData keeps the data of an answer with warnings: these are shown and logged without
// anything of what the answer is about, whatever becomes of the data.
func (a *answer) keepData(raw []byte) {
	var of struct {
		Data jsontext.Value `json:"data"`
	}
	if len(a.Warnings) > 0 && json.Unmarshal(raw, &of) != nil {
		a.Warnings = nil
	}
	a.data = of.Data
}

// incomplete is the error for an answer that lacks what the request needs: what it
// says about a change cannot be relied on.
func incomplete(r request, why error) error {
	cause := errors.Join(errors.New("Vault's answer cannot be used"), why) //nolint:staticcheck // a name
	if r.readOnly() {
		return call.Wrap(call.VaultError, "Vault's answer cannot be used", cause)
	}
	return call.Wrap(call.OutcomeUnknown, "Vault's answer cannot be used; whether the change was made is not known", cause)
}
