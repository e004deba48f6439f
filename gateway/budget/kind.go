package budget

import "strings"

// Kind is what is held for a while, or spent.
type Kind int

// The kinds. Those up to Cache are held (Reserve), the last two are bytes a second
// (Spend).
const (
	Requests      Kind = iota // requests of known callers that are being answered, streams not counted
	Anonymous                 // requests that are being answered, of nobody known or not known yet
	Bytes                     // of request bodies and large answers in memory
	Calls                     // running calls
	Sessions                  // sessions over MCP and of the Vault API
	Streams                   // open event streams
	Topics                    // topics of open streams
	Subscriptions             // subscriptions of sessions
	Kept                      // bytes that a feature keeps for a caller between requests: URIs, capabilities, cursors, tickets
	Leases                    // leases in Vault of which the gateway knows (Claim)
	Cache                     // answers of Vault, decisions and lists that are kept to be given again
	Evidence                  // bytes of evidence a second
	Logs                      // bytes of logs a second

	kinds // how many there are
)

// names are the labels of the kinds, in metrics and in BUDGETS.
func (k Kind) String() string {
	return [kinds]string{
		"requests", "anonymous", "bytes", "calls", "sessions", "streams", "topics", "subscriptions", "kept", "leases", "cache", "evidence", "logs",
	}[k]
}

// noun is how a refusal names a kind.
func (k Kind) noun() string {
	switch k {
	case Requests, Anonymous:
		return "requests"
	case Bytes:
		return "bytes of request bodies and answers"
	case Calls:
		return "running calls"
	case Kept:
		return "bytes kept between requests"
	case Cache:
		return "cache entries"
	case Evidence:
		return "bytes of evidence"
	case Logs:
		return "bytes of logs"
	}
	return k.String()
}

// spent reports whether the kind is used by the second, instead of held.
func (k Kind) spent() bool { return k == Evidence || k == Logs }

// Kinds lists every kind.
func Kinds() []Kind {
	out := make([]Kind, kinds)
	for k := range out {
		out[k] = Kind(k)
	}
	return out
}

func kindOf(name string) (Kind, bool) {
	for k := range kinds {
		if k.String() == name {
			return k, true
		}
	}
	return 0, false
}

func kindNames() string {
	var names []string
	for k := range kinds {
		names = append(names, k.String())
	}
	return strings.Join(names, ", ")
}
