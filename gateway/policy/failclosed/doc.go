// Package failclosed tries to make a policy fail open. It evaluates the policy over a
// corpus that it makes from the catalogue, the data and the policy's own literals,
// changes each input, and compares: less input, fewer scopes and more rules never
// allow more.
package failclosed
