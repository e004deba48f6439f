// Package wasmbin decides which WebAssembly binaries may be compiled at all,
// and makes the ones that may pay for every instruction.
//
// [Decode] accepts a strict subset of the binary format (WebAssembly Core 2.0,
// chapter 5): everything that is not understood is refused, integers must be
// written in their shortest form, and every index is checked. [Module.Meter]
// rewrites a decoded module so that it counts down a fuel counter that it can
// neither read nor write.
//
// The counter is there because the host cannot interrupt a guest: compiled
// wazero code holds its thread until it returns, and the garbage collector
// waits for it.
package wasmbin
