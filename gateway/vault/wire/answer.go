package wire

import (
	"errors"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/tokencache"
	"portcullis/gateway/vault/verbatim"
)

// Reply is what an operation reads of the data of one answer of Vault's.
type Reply interface {
	// Complete reports whether the answer had everything that the operation needs. An
	// incomplete answer is an error, whatever its status was.
	Complete() bool
}

// Keeper is a Reply that keeps a value as it came.
type Keeper interface {
	Kept() *verbatim.Value
}

// PlainText is an answer that is not JSON, which Vault gives in a few places.
type PlainText string

// Complete implements Reply.
func (*PlainText) Complete() bool { return true }

// Answer is the outer form of Vault's answers (Vault API) with what is needed of it:
// its zero value needs nothing but that Vault has answered.
type Answer struct {
	RequestID string         `json:"request_id"`
	Data      any            `json:"data"` // before decoding: a pointer to where the data go
	Auth      *Auth          `json:"auth"`
	WrapInfo  *Wrapping      `json:"wrap_info"`
	Warnings  []string       `json:"warnings"`
	Errors    jsontext.Value `json:"errors"`
	Lease

	missing func(*Answer) string // says what is missing, "" for nothing
	text    *PlainText           // where the text of an answer goes that is not JSON, else nil
	rawData []byte               // the data as they came, kept for an answer with warnings
	keeper  Keeper               // what the data go to, when it keeps some of them as they came
}

// Auth is the part of an answer that is about a token.
type Auth struct {
	ClientToken   string `json:"client_token"`
	Accessor      string `json:"accessor"`
	LeaseDuration int64  `json:"lease_duration"` // seconds
	Renewable     bool   `json:"renewable"`
}

// WrapInfo is Vault's, without the fields that only the gateway could use.
type WrapInfo struct {
	Token        call.Secret `json:"token"` // opens the answer once, at sys/wrapping/unwrap
	TTL          int         `json:"ttl"`   // seconds
	CreationPath string      `json:"creation_path"`
}

// Wrapping is WrapInfo with what the gateway ends the wrapped answer by.
type Wrapping struct {
	WrapInfo
	Accessor string `json:"accessor"`
}

// Token is the token that the answer is about, the zero Token for none.
func (a *Answer) Token() tokencache.Token {
	if a.Auth == nil {
		return tokencache.Token{}
	}
	return tokencache.Token{
		Value: a.Auth.ClientToken, Accessor: a.Auth.Accessor,
		Life: time.Duration(a.Auth.LeaseDuration) * time.Second, Renewable: a.Auth.Renewable,
	}
}

// RawData are the data as they came, nil for an answer without warnings.
func (a *Answer) RawData() []byte { return a.rawData }

// WantData needs data that are complete. A nil Reply needs nothing.
func WantData(r Reply) *Answer {
	if r == nil {
		return &Answer{}
	}
	if text, ok := r.(*PlainText); ok {
		return &Answer{text: text}
	}
	a := &Answer{missing: func(a *Answer) string {
		if a.Data == nil || !r.Complete() {
			return "data"
		}
		return ""
	}}
	a.Data = r
	a.keeper, _ = r.(Keeper)
	return a
}

// WantLease needs a lease.
func WantLease() *Answer {
	return &Answer{missing: func(a *Answer) string {
		if !a.Whole() {
			return "a lease"
		}
		return ""
	}}
}

// WantToken needs a token.
func WantToken() *Answer {
	return &Answer{missing: func(a *Answer) string {
		if a.Auth == nil || a.Auth.ClientToken == "" || !IsTTL(a.Auth.LeaseDuration) {
			return "a token"
		}
		return ""
	}}
}

// WantTTL needs to know how long a token lives from now on. Vault leaves out the token
// itself in some of these answers.
func WantTTL() *Answer {
	return &Answer{missing: func(a *Answer) string {
		if a.Auth == nil || !IsTTL(a.Auth.LeaseDuration) {
			return "auth with a TTL"
		}
		return ""
	}}
}

// WantWrapped needs a wrapping token.
func WantWrapped() *Answer {
	return &Answer{missing: func(a *Answer) string {
		if a.WrapInfo == nil || a.WrapInfo.Token == "" || a.WrapInfo.TTL <= 0 || !IsTTL(int64(a.WrapInfo.TTL)) {
			return "a wrapping token"
		}
		return ""
	}}
}

// isNothing reports whether a status says that there is no answer beyond it.
func isNothing(status int, raw []byte) bool {
	return status == http.StatusNoContent && len(raw) == 0
}

// Decode fills the answer from a reply with a status of success. The error says what
// is wrong with the reply and quotes nothing of it; nothing is kept of raw then, whose
// memory is used again.
func (a *Answer) Decode(status int, raw []byte) error {
	err := a.decode(status, raw)
	if err != nil && a.keeper != nil {
		*a.keeper.Kept() = verbatim.Value{}
	}
	return err
}

func (a *Answer) decode(status int, raw []byte) error {
	switch {
	case a.text != nil:
		*a.text = PlainText(raw)
		return nil
	case isNothing(status, raw) && a.missing == nil:
		return nil
	}
	var kind jsontext.Value = raw
	if kind.Kind() != '{' || a.unmarshal(raw) != nil {
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

// longAnswer is the length of an answer from which on what is kept of it is no copy.
const longAnswer = 16 << 10

func (a *Answer) unmarshal(raw []byte) error {
	if a.keeper != nil && len(raw) >= longAnswer {
		return verbatim.Decode(raw, a)
	}
	return json.Unmarshal(raw, a)
}

// Free gives the memory of what has been decoded back, or leaves it to whoever has got a
// part of it as it came.
func (a *Answer) Free(raw []byte, free func()) {
	if a.keeper == nil || !a.keeper.Kept().Keep(raw, free) {
		free()
	}
}

// keepData keeps the data of an answer with warnings, because warnings are shown and
// logged without any part of the data.
func (a *Answer) keepData(raw []byte) {
	var of struct {
		Data jsontext.Value `json:"data"`
	}
	if len(a.Warnings) > 0 && json.Unmarshal(raw, &of) != nil {
		a.Warnings = nil
	}
	a.rawData = of.Data
}

// Incomplete is the error for an answer that lacks what the request needs: what it
// says about a change cannot be relied on.
func Incomplete(r Request, why error) error {
	cause := errors.Join(errors.New("Vault's answer cannot be used"), why) //nolint:staticcheck // a name
	if r.ReadOnly() {
		return call.Wrap(call.VaultError, "Vault's answer cannot be used", cause)
	}
	return call.Wrap(call.OutcomeUnknown, "Vault's answer cannot be used; whether the change was made is not known", cause)
}

// KeyList is what Vault answers to any list (Vault API, LIST).
type KeyList struct {
	Keys []string `json:"keys"`
}

// Complete implements Reply.
func (l *KeyList) Complete() bool { return l.Keys != nil }
