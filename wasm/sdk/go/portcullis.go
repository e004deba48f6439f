//go:build wasip1

// This file is the guest side of the transform interface of Portcullis, version
// 1. Keep it beside your code, unchanged; write Configure and Transform yourself.
package main

import (
	"encoding/binary"
	"unsafe"
)

// Hook tells what the payload is.
type Hook int32

// The hooks.
const (
	Log      Hook = 1 // one log record: a JSON object on one line
	Request  Hook = 2 // the arguments of a call, JSON
	Response Hook = 3 // the result of a call, JSON
)

// Code is a refusal. OK means that there is output.
type Code int64

// The codes of the interface.
const (
	OK        Code = 0
	BadInput  Code = 1
	BadConfig Code = 2
	Internal  Code = 3
	Refuse    Code = 16 // drop the line, deny the call
)

// Input is what a call gets. It is valid until Transform returns.
type Input struct {
	Hook    Hook
	Meta    []byte // JSON: {"op":…, "mount":…, "args":{…}}; may be empty
	Payload []byte
}

// Unchanged is what Transform returns to leave the payload as it is.
var Unchanged []byte

// Level says how a line is logged.
type Level int32

// The levels of lines.
const (
	Debug   Level = 0
	Info    Level = 1
	Warning Level = 2
	Error   Level = 3
)

//go:wasmimport portcullis log
func hostLog(level int32, text string)

//go:wasmimport portcullis count
func hostCount(name string, by uint32)

// Say logs a line, if the manifest has logs: true. The gateway takes four lines a call, 256
// bytes each, and hides what a line has of the document. Without a call of Say, the module
// imports nothing for it.
func Say(level Level, text string) { hostLog(int32(level), text) }

// Count adds to a counter, if the manifest lists its name below counters.
func Count(name string, by uint32) { hostCount(name, by) }

// input and output stay reachable here while the host reads and writes them.
var input, output []byte

//go:wasmexport abi
func abi() int32 { return 1 << 16 }

//go:wasmexport alloc
func alloc(n int32) int32 {
	if n < 0 {
		return 0
	}
	if int(n) >= cap(input) {
		input = make([]byte, n+1)
	}
	return int32(uintptr(unsafe.Pointer(unsafe.SliceData(input))))
}

//go:wasmexport init
func configure(_ int32, n int32) int64 { return int64(Configure(input[:n])) }

//go:wasmexport transform
func transform(hook, _, n int32) int64 {
	in := input[:n]
	meta := binary.LittleEndian.Uint32(in)
	if uint64(meta) > uint64(len(in)-4) {
		return int64(BadInput)
	}
	var code Code
	output, code = Transform(Input{Hook(hook), in[4 : 4+meta], in[4+meta:]})
	if code != OK {
		return int64(code)
	}
	if len(output) == 0 {
		return 0
	}
	return int64(uintptr(unsafe.Pointer(unsafe.SliceData(output))))<<32 | int64(len(output))
}

// main never runs: the module is a library.
func main() {}
