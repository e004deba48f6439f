// Package call holds the nouns that every other package speaks in: who calls
// (Caller), what went wrong (Code, Error), what may be named (Path, Name), what
// must not be shown (Secret, SecretJSON) and the proof of a decision (Grant).
// It imports nothing of ours.
package call
