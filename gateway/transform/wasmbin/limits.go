package wasmbin

// Limits bound what a module may contain. They bound the time that compiling
// takes, because a compilation cannot be cancelled.
type Limits struct {
	Size, Types, Funcs, Globals, Exports, Segments int
	// Body is the size of one function, Locals its parameters and locals,
	// Depth how deep its blocks nest.
	Body, Locals, Depth int
	// Table is the number of entries, Pages the size of the memory.
	Table, Pages uint32
	// Weight is the work of compiling all bodies: for each place to which a branch
	// can go, the number of locals times one more than the loops around it.
	Weight int64
	// Near is the size of a memory above which access to it costs more.
	Near uint32
	// Slot is the price of a value that waits on the stack during a call. A Go
	// runtime has a stack of its own, and many locals.
	Slot int64
	// Start allows a start function.
	Start bool
	// SignedCalls accepts call targets written as signed integers, which is what
	// Go's linker does.
	SignedCalls bool
	// TableImports says that table entries may be imported functions, as Go's linker has them. A call through a
	// table does not pay for the way into the host.
	TableImports bool
	// Import says which functions may be imported; nil means none.
	Import func(module, name string) bool
}

// Plain are the limits of an ordinary module: no import, no start function.
func Plain() Limits {
	return Limits{
		Size: 256 << 10, Types: 1000, Funcs: 4000, Globals: 200, Exports: 200, Segments: 1000,
		Body: 64 << 10, Locals: 1000, Depth: 300, Table: 4000, Pages: 128, Weight: 1_000_000, Near: 32, Slot: 6,
	}
}

// Stub are the limits of a guest that was built with full Go: it brings a
// runtime of its own and imports the system interface that it expects.
func Stub(allowed func(module, name string) bool) Limits {
	return Limits{
		Size: 8 << 20, Types: 2000, Funcs: 20000, Globals: 200, Exports: 1000, Segments: 100_000,
		Body: 512 << 10, Locals: 5000, Depth: 5000, Table: 20000, Pages: 256, Weight: 200_000_000, Near: 256, Slot: 0,
		Start: true, SignedCalls: true, TableImports: true, Import: allowed,
	}
}
