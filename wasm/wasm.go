// Package wasm holds the shipped modules with their sources, and the kits from
// which wasm new makes a project.
package wasm

import "embed"

// Kits are the guest kits, one directory per language. Each is a project that
// builds as it is.
//
//go:embed sdk/go sdk/rust
var Kits embed.FS

// Modules are the shipped modules, with the manifest that pins them and their
// test vectors.
//
//go:embed manifest.yaml SHA256SUMS */*.wasm */tests.json sdk/rust/module.wasm
var Modules embed.FS
