// Package limit keeps callers to their rate: one bucket for each caller and tier.
// The decision names the tier; a denied call takes from its bucket like any other.
package limit
