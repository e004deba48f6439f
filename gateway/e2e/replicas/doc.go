// Package replicas tests three gateways as one: with one Redis and one Vault, behind a
// balancer that honours readiness, while one of them or Redis ends and comes back.
package replicas
