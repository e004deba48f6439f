// Package uses tests what the gateway is for, from outside and against the whole
// real stack: Vault, PostgreSQL and sshd. Every operation is called over every
// transport; the scripts in testdata are the real-world uses, for people to read.
package uses
