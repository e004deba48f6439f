// Package policy is the decision point: one question, one answer, and every
// failure is a denial. It alone mints grants.
//
// A decision is asked of the active program, which is replaced as a whole when the
// policy changes. What the program answers is checked once more here before it
// becomes a grant: prefix, scopes, caps, and that the gateway can do what it asks.
package policy
