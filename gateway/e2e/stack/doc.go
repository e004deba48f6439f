// Package stack runs the gateway and what it needs as processes of their own, on
// loopback and on free ports: the built gateway, the dev Vault, PostgreSQL, sshd.
// Each process ends with the context that it was started with, and at the latest
// with the process that started it, so nothing stays behind.
package stack
