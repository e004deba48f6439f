package mcp

import (
	"portcullis/gateway/budget"
	"portcullis/gateway/call"
)

// What a session and a subscription hold beside the caller's own text, in bytes.
const (
	sessionBytes = 1 << 10
	topicBytes   = 256
)

// keeper reserves what is kept for callers: its sessions, what it said of itself in
// them, and what it subscribes to.
type keeper struct{ budgets *budget.Budgets }

// keep reserves bytes for a caller, and one of a kind.
func (k keeper) keep(owner string, bytes int, kind budget.Kind) (release func(), err *call.Error) {
	who := budget.Who{Caller: owner}
	one, rerr := k.budgets.Reserve(who, kind, 1)
	if rerr != nil {
		return nil, call.AsError(rerr)
	}
	all, rerr := k.budgets.Reserve(who, budget.Kept, int64(bytes))
	if rerr != nil {
		one()
		return nil, call.AsError(rerr)
	}
	return func() { one(); all() }, nil
}

// subscription is the cost of keeping a subscription in bytes: its URI, and the path
// that it means.
func subscription(uri string) int { return topicBytes + 2*len(uri) }
