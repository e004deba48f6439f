package e2e

// For the tests of what scripts can say, and for those that say it by themselves.
var (
	Check  = check
	Lookup = lookup
	Token  = token
)
