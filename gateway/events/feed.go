package events

import "portcullis/gateway/call"

// Feed makes events of what Vault Enterprise tells of (Vault docs, event
// notifications). A change that the gateway has made, or that a Poller has found, is
// not told twice.
type Feed struct {
	mount  string // of the secrets
	echoes *echoes
}

// NewFeed makes a feed for the secrets of a mount.
func NewFeed(l *Log, mount string) *Feed {
	f := &Feed{mount, newEchoes(l.Publish)}
	l.watch(f.echoes.told)
	return f
}

// Changed takes a change of a secret: what Vault calls it, the path below the mount,
// and the version that is current after it, 0 when that is not known.
func (f *Feed) Changed(operation string, p call.Path, version int) {
	if op, ok := notified(operation); ok {
		f.echoes.heard(Event{Kind: ResourceChanged, Op: op, Mount: f.mount, Path: p, Version: version, Source: FromVault})
	}
}

// notified names what a notification of KV version 2 tells of, ok is false when that
// is no change of a secret. Some changes are no operation of ours.
func notified(operation string) (op string, ok bool) {
	switch operation {
	case "data-write":
		return "kv.write", true
	case "data-patch":
		return "kv.patch", true
	case "data-delete", "delete":
		return "kv.delete", true
	case "undelete":
		return "kv.undelete", true
	case "destroy":
		return "kv.destroy", true
	case "metadata-write", "metadata-patch", "metadata-delete":
		return "", true
	}
	return "", false
}
