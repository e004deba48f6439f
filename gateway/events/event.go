package events

import (
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// Kind is what happened.
type Kind string

// The kinds. ToolCompleted is only for the caller that made the call.
const (
	ResourceChanged Kind = "resource.changed"
	ToolCompleted   Kind = "tool.completed"
	ToolsChanged    Kind = "tools.changed"
	PromptsChanged  Kind = "prompts.changed"
)

// Source says how the gateway knows of a change.
type Source string

// The sources: a call through the gateway, a poll of the metadata, Vault's audit
// records, Vault Enterprise's own events.
const (
	FromGateway Source = "gateway"
	FromPoll    Source = "poll"
	FromAudit   Source = "audit"
	FromVault   Source = "vault"
)

// Event is one thing that happened. It holds names, never values.
type Event struct {
	Kind    Kind
	Op      string    // dotted operation name, empty when not known
	Mount   string    // of a changed resource
	Path    call.Path // full path below the mount
	Version int       // the new version, 0 when not known
	Subject string    // who did it, empty when not known
	Source  Source
	Time    time.Time
	Owner   string // call.Caller.Holder of the one whom it concerns, empty for all
	State   string // of a change that was found, what the resource was found in; empty when not known
}

// Of returns the event of a call that changed a secret.
func Of(rec *op.Record) (Event, bool) {
	b := rec.Bound
	if b == nil || b.Op.Engine != "kv" || b.Op.ReadOnly() {
		return Event{}, false
	}
	return Event{
		Kind: ResourceChanged, Op: b.Op.Name, Mount: b.Resource.Mount, Path: b.Resource.Path,
		Version: rec.Outcome.Version, Subject: b.Caller.Subject, Source: FromGateway, Time: time.Now(),
	}, true
}

// Topic is a resource, or all that lies at and below one.
type Topic struct {
	Mount string
	Path  call.Path
	Below bool
}

// covers reports whether the topic is about the event's resource.
func (t Topic) covers(e *Event) bool {
	if t.Mount != e.Mount {
		return false
	}
	if t.Below {
		return e.Path.Within(t.Path)
	}
	return e.Path == t.Path
}

// Filter is what a reader wants to receive.
type Filter struct {
	Kinds  []Kind // none means every kind
	Topics []Topic
}
