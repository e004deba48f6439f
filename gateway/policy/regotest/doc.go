// Package regotest runs a policy's own tests: the rules test_* of *_test.rego.
package regotest
