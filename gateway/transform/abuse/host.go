package abuse

const (
	hostLog   = 0 // the numbers of the imported functions
	hostCount = 1
)

// hosted is an honest guest that imports what the gateway offers, does as the code says
// and leaves its input as it is.
func hosted(text string, does []byte) Guest {
	g := honest(code(does, unchanged()))
	for _, name := range []string{"log", "count"} {
		g.Imports = append(g.Imports, Import{"portcullis", name, i32 + i32 + i32})
	}
	if text != "" {
		g.Extra = segment(text)
	}
	return g
}

func calls(host byte, a, b, c []byte) []byte { return code(a, b, c, op(opCall, host)) }

// Logs logs a text once a call. It is honest.
func Logs(level int32, text string) []byte {
	g := hosted(text, calls(hostLog, con32(level), con32(place), con32(int32(len(text)))))
	g.Memory = []byte{0, 20} // the longest inputs cover the text
	return g.Assemble()
}

// LogsInput logs n bytes of its input from an offset.
func LogsInput(offset, n int32) []byte {
	at := code(op(localGet, 1), con32(offset), op(i32Add))
	return hosted("", calls(hostLog, con32(1), at, con32(n))).Assemble()
}

// LogsBytes logs the first bytes of its input one by one.
func LogsBytes() []byte {
	g := hosted("", code(
		op(opLoop, voidBlock),
		calls(hostLog, con32(1), op(localGet, 1), con32(1)),
		op(localGet, 1), con32(1), op(i32Add), op(localSet, 1), op(localGet, 1),
		con32(bufferOffset+40), op(i32Sub, opBrIf, 0, opEnd),
	))
	return g.Assemble()
}

// LogsForever logs until it has no fuel left.
func LogsForever(text string) []byte {
	return hosted(text, code(op(opLoop, voidBlock), calls(hostLog, con32(3), con32(place), con32(int32(len(text)))), op(opBr, 0, opEnd))).Assemble()
}

// LogsAll logs its whole memory at once.
func LogsAll() []byte {
	return hosted("", calls(hostLog, con32(1), con32(0), con32(2*65536))).Assemble()
}

// LogsOutside logs what is outside of its memory.
func LogsOutside() []byte {
	return hosted("", calls(hostLog, con32(1), con32(2*65536-4), con32(8))).Assemble()
}

// Counts counts n more under a name. It is honest.
func Counts(name string, n int32) []byte {
	return hosted(name, calls(hostCount, con32(place), con32(int32(len(name))), con32(n))).Assemble()
}

// inTable has a table with the function that logs, which calls through it would not pay for.
func inTable() []byte {
	bin := hosted("", nil).Assemble()
	return splice(bin, 4, []byte{1, 0x70, 0, 1}, 9, []byte{1, 0, i32Const, 0, opEnd, 1, hostLog})
}

// splice puts sections where their numbers belong.
func splice(bin []byte, more ...any) []byte {
	out, rest := append([]byte{}, bin[:8]...), bin[8:]
	put := func(below byte) {
		for len(more) > 0 && more[0].(int) < int(below) {
			body := more[1].([]byte)
			out = append(append(out, byte(more[0].(int)), byte(len(body))), body...)
			more = more[2:]
		}
	}
	for len(rest) > 0 {
		put(rest[0])
		n, size := 0, 0
		for shift := 0; ; shift += 7 {
			size++
			n |= int(rest[size]&0x7f) << shift
			if rest[size]&0x80 == 0 {
				break
			}
		}
		out, rest = append(out, rest[:1+size+n]...), rest[1+size+n:]
	}
	put(255)
	return out
}
