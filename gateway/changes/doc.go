// Package changes learns of changes of secrets that were made past the gateway, and
// publishes each once: a Poller reads metadata, AuditRecords reads Vault's audit records,
// and VaultEvents takes the events of Vault Enterprise. A Deduper stands between them and
// the event log.
package changes
