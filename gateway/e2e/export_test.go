package e2e

// For the tests of what scripts can say.
var (
	Check  = check
	Lookup = lookup
)
