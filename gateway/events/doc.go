// Package events is one bounded log of changes with many readers: publishing
// never waits for a reader, and a reader that does not keep up is cut off.
//
// A stream carries no right. Every event is decided for its reader's caller when
// it is delivered, replayed events as well, and a stream ends when the caller's
// credential does, or when the policy has changed.
//
// An event says how the gateway knows of the change (Source). Package changes has the
// sources apart from the gateway's own calls.
package events
