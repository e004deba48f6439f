// Package document holds the two documents of a decision: Input is what the
// policy is asked, Output what it answers. Both are total: every field is always
// there and typed, and anything else is refused.
package document

// Version is the version of both documents.
const Version = 1
