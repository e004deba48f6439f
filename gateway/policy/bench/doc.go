// Package bench measures decisions in processor time: what is compared runs in
// turns, round by round, so that a busy machine disturbs all of it alike.
package bench
