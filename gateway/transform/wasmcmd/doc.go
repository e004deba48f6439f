// Package wasmcmd is what the commands portcullis wasm do. Each function writes
// for people to a writer; an error means exit status 1 and has one line.
package wasmcmd
