package vaultapi

import (
	"cmp"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
	"portcullis/gateway/edge"
	"portcullis/gateway/op"
)

// reply is an answer in Vault's form (Vault API, logical.HTTPResponse).
type reply struct {
	RequestID     string `json:"request_id"`
	LeaseID       string `json:"lease_id"`
	Renewable     bool   `json:"renewable"`
	LeaseDuration int    `json:"lease_duration"`
	Data          any    `json:"data"`
	WrapInfo      any    `json:"wrap_info"`
	Warnings      any    `json:"warnings"` // nil for none
	Auth          any    `json:"auth"`
	MountType     string `json:"mount_type"`

	status int    // 0 for 200
	text   string // answered as it is, in the place of all others
	media  string // of the text, empty for text/plain
	bare   bool   // Data is the whole body
}

// none is the answer without a body.
func none() *reply { return &reply{status: http.StatusNoContent} }

func data(v any) *reply { return &reply{Data: v} }

// result is what an operation has answered.
type result struct {
	*op.Result
	fields map[string]jsontext.Value
}

func decode(res *op.Result) (result, error) {
	r := result{Result: res}
	return r, json.Unmarshal(res.Body, &r.fields)
}

// only are some fields by the names that Vault has for them.
func (r result) only(names map[string]string) map[string]jsontext.Value {
	out := map[string]jsontext.Value{}
	for theirs, ours := range names {
		if v, there := r.fields[ours]; there {
			out[theirs] = v
		}
	}
	return out
}

func (r result) text(name string) (s string) {
	_ = json.Unmarshal(r.fields[name], &s) // what is none is as good as absent
	return s
}

func (r result) number(name string) (n int) {
	_ = json.Unmarshal(r.fields[name], &n)
	return n
}

func (r result) truth(name string) (b bool) {
	_ = json.Unmarshal(r.fields[name], &b)
	return b
}

// warnings are Vault's and the gateway's, nil for none.
func (r result) warnings() any {
	if w, there := r.fields["warnings"]; there {
		return w
	}
	return nil
}

// wrapped is the answer whose data Vault keeps until its token is used, nil for one that is
// none.
func wrapped(res *op.Result) *reply {
	var made struct {
		Info *struct {
			Token        string `json:"token"`
			TTL          int    `json:"ttl"`
			CreationPath string `json:"creation_path"`
		} `json:"wrap_info"`
	}
	_ = json.Unmarshal(res.Body, &made) // what the gateway has made is one
	if made.Info == nil {
		return nil
	}
	return &reply{WrapInfo: map[string]any{
		"token": made.Info.Token, "accessor": "", "ttl": made.Info.TTL, "creation_path": made.Info.CreationPath,
		"creation_time": time.Now().UTC().Format(time.RFC3339Nano),
	}}
}

// send writes an answer.
func send(w http.ResponseWriter, q *request, a *reply) {
	switch {
	case a.status == http.StatusNoContent:
		w.WriteHeader(a.status)
		return
	case a.text != "":
		w.Header().Set("Content-Type", cmp.Or(a.media, "text/plain"))
		w.Header().Set("Content-Length", strconv.Itoa(len(a.text)))
		_, _ = w.Write([]byte(a.text)) // the reader is gone when this fails
		return
	}
	if a.RequestID = q.id; a.WrapInfo == nil {
		a.MountType = q.mountType()
	}
	var body any = a
	if a.bare {
		body = a.Data
	}
	raw, err := json.Marshal(body, json.Deterministic(true))
	if err != nil {
		edge.WriteError(w, call.Wrap(call.Internal, "internal error", err), "")
		return
	}
	edge.WriteJSON(w, max(a.status, http.StatusOK), raw)
}
