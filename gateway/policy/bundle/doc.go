// Package bundle reads policies: *.rego, *_test.rego and one data.json or
// data.yaml from a directory, a file or a signed archive, and nothing else.
package bundle
