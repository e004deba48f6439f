// Package document holds the two documents of a decision: Input is what the
// policy is asked, Output what it answers. Both are total: every field is always
// there and typed, and anything else is refused.
package document

// Version is the version of the input that the gateway makes. A policy of version 1
// sees it as version 1 was, see Writer.
const Version = 2

// OutputVersion is the version of the answer.
const OutputVersion = 1
