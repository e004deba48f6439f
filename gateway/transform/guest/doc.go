// Package guest runs one WebAssembly module as a function from bytes to bytes
// that cannot harm its host: no import, a memory of bounded size, a fuel
// counter that ends every call, and a pool that never reuses an instance after
// a failure.
//
// The interface between host and guest is described in wasm/ABI.md.
package guest
