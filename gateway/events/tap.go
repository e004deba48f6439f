package events

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
)

// Tap makes events of Vault's audit records, which hold the path and the operation
// of every request in the clear. Nothing else of a record is kept.
type Tap struct {
	mount     string // of the secrets
	namespace string
	echoes    *echoes
}

// NewTap makes a tap for the secrets of a mount, in a namespace of Vault Enterprise
// or, when that is empty, in the root one.
func NewTap(l *Log, mount, namespace string) *Tap {
	t := &Tap{mount, strings.Trim(namespace, "/"), newEchoes(l.Publish)}
	l.watch(t.echoes.told)
	return t
}

// maxRecord bounds a record; a longer one is passed over.
const maxRecord = 4 << 20

// Records is one stream of records, a line each. Writing to it never waits: Vault
// answers no request before its audit device has taken the record.
type Records struct {
	tap     *Tap
	line    []byte // the beginning of a record
	tooLong bool
}

// Records begins a stream.
func (t *Tap) Records() *Records { return &Records{tap: t} }

// Write implements io.Writer. It takes parts of lines as they come.
func (r *Records) Write(p []byte) (int, error) {
	n := len(p)
	for {
		part, rest, whole := bytes.Cut(p, []byte{'\n'})
		if r.tooLong = r.tooLong || len(r.line)+len(part) > maxRecord; !r.tooLong {
			r.line = append(r.line, part...)
		}
		if !whole {
			return n, nil
		}
		if !r.tooLong {
			r.tap.record(r.line)
		}
		if r.line, r.tooLong = r.line[:0], false; cap(r.line) > maxRecord/16 {
			r.line = nil
		}
		p = rest
	}
}

// record is what is read of an audit record (Vault, audit devices).
type record struct {
	Type    string `json:"type"`
	Error   string `json:"error"`
	Request struct {
		Operation string `json:"operation"`
		Path      string `json:"path"`
		Namespace struct {
			Path string `json:"path"`
		} `json:"namespace"`
	} `json:"request"`
	Response struct {
		Data struct {
			Version jsontext.Value `json:"version"`
			Error   jsontext.Value `json:"error"`
		} `json:"data"`
	} `json:"response"`
}

// record reads one record: only a response tells that something was done.
func (t *Tap) record(line []byte) {
	records.Inc()
	if !bytes.Contains(line, []byte(`"response"`)) || !bytes.Contains(line, []byte(t.mount)) {
		return
	}
	var r record
	if json.Unmarshal(line, &r) != nil || r.Type != "response" || r.Error != "" || r.Response.Data.Error != nil {
		return
	}
	if strings.Trim(r.Request.Namespace.Path, "/") != t.namespace {
		return
	}
	if e, ok := t.event(&r); ok {
		t.echoes.heard(e)
	}
}

// event is the change that a record tells of.
func (t *Tap) event(r *record) (Event, bool) {
	rest, ok := strings.CutPrefix(r.Request.Path, t.mount+"/")
	kind, path, under := strings.Cut(rest, "/")
	op, changes := changing(kind, r.Request.Operation)
	p, err := call.ParsePath(path)
	if !ok || !under || !changes || err != nil {
		return Event{}, false
	}
	e := Event{Kind: ResourceChanged, Op: op, Mount: t.mount, Path: p, Source: FromAudit}
	if kind == "data" {
		e.Version, _ = strconv.Atoi(string(r.Response.Data.Version)) // 0 when it is not said
	}
	return e, true
}

// changing names what a request below a KV mount does, ok is false when it changes
// nothing. Some changes are no operation of ours (Vault API, KV version 2).
func changing(kind, operation string) (op string, ok bool) {
	switch kind + " " + operation {
	case "data create", "data update":
		return "kv.write", true
	case "data patch":
		return "kv.patch", true
	case "data delete", "delete update", "delete create":
		return "kv.delete", true
	case "undelete update", "undelete create":
		return "kv.undelete", true
	case "destroy update", "destroy create":
		return "kv.destroy", true
	case "metadata delete", "metadata create", "metadata update", "metadata patch":
		return "", true
	}
	return "", false
}
