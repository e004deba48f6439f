package changes

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
	"portcullis/gateway/events"
)

// AuditRecords makes events of Vault's audit records, which hold the path and the operation
// of every request in the clear. Nothing else of a record is kept.
type AuditRecords struct {
	mount     string // of the secrets
	namespace string
	deduper   *Deduper
}

// NewAuditRecords reads records about the secrets of a mount, in a namespace of Vault
// Enterprise or, when that is empty, in the root one.
func NewAuditRecords(d *Deduper, mount, namespace string) *AuditRecords {
	return &AuditRecords{mount, strings.Trim(namespace, "/"), d}
}

// maxRecord bounds a record; a longer one is passed over.
const maxRecord = 4 << 20

// Stream is one stream of records, a line each. Writing to it never waits: Vault
// answers no request before its audit device has taken the record.
type Stream struct {
	of      *AuditRecords
	line    []byte // the beginning of a record
	tooLong bool
}

// NewStream begins a stream.
func (a *AuditRecords) NewStream() *Stream { return &Stream{of: a} }

// Write implements io.Writer. It takes parts of lines as they come.
func (r *Stream) Write(p []byte) (int, error) {
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
			r.of.record(r.line)
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
func (a *AuditRecords) record(line []byte) {
	records.Inc()
	if !bytes.Contains(line, []byte(`"response"`)) || !bytes.Contains(line, []byte(a.mount)) {
		return
	}
	var r record
	if json.Unmarshal(line, &r) != nil || r.Type != "response" || r.Error != "" || r.Response.Data.Error != nil {
		return
	}
	if strings.Trim(r.Request.Namespace.Path, "/") != a.namespace {
		return
	}
	if e, ok := a.event(&r); ok {
		a.deduper.Offer(e)
	}
}

// event is the change that a record of the audit log shows.
func (a *AuditRecords) event(r *record) (events.Event, bool) {
	rest, ok := strings.CutPrefix(r.Request.Path, a.mount+"/")
	kind, path, under := strings.Cut(rest, "/")
	op, changes := changing(kind, r.Request.Operation)
	p, err := call.ParsePath(path)
	if !ok || !under || !changes || err != nil {
		return events.Event{}, false
	}
	e := events.Event{Kind: events.ResourceChanged, Op: op, Mount: a.mount, Path: p, Source: events.FromAudit}
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
