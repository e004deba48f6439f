package changes

import (
	"portcullis/gateway/call"
	"portcullis/gateway/events"
)

// VaultEvents makes events of the event notifications of Vault Enterprise (Vault docs,
// event notifications).
type VaultEvents struct {
	mount   string // of the secrets
	deduper *Deduper
}

// NewVaultEvents takes events about the secrets of a mount.
func NewVaultEvents(d *Deduper, mount string) *VaultEvents { return &VaultEvents{mount, d} }

// Changed takes a change of a secret: what Vault calls it, the path below the mount,
// and the version that is current after it, 0 when that is not known.
func (v *VaultEvents) Changed(operation string, p call.Path, version int) {
	if op, ok := notified(operation); ok {
		v.deduper.Offer(events.Event{Kind: events.ResourceChanged, Op: op, Mount: v.mount, Path: p, Version: version, Source: events.FromVault})
	}
}

// notified names what a notification of KV version 2 reports, ok is false when that
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
