package wasmbin

import "strconv"

// Module is a decoded binary. It keeps the sections that need no change as the
// bytes they were, all known to be canonical.
type Module struct {
	Types   []FuncType
	Imports []Import
	// Funcs holds the type index of each function, imported ones first.
	Funcs   []uint32
	Globals []Global
	Exports []Export
	Memory  Memory
	Customs []Custom
	Bodies  []Body
	// Segments is the number of data segments.
	Segments int
	// Tables is the number of tables, at most one.
	Tables int
	// Start tells that the module has a start function.
	Start bool
	// Near is the number of pages above which memory costs more.
	Near uint32
	// Size is the length of the original binary.
	Size int
	raw  [13][]byte
}

// FuncType is a signature; the bytes are value types of the binary format.
type FuncType struct{ Params, Results string }

// Import is one imported function. Nothing else can be imported.
type Import struct {
	Module, Name string
	Type         uint32
}

// Global is one global of the module itself.
type Global struct {
	Type    byte
	Mutable bool
}

// Export is one export: kind 0 function, 1 table, 2 memory, 3 global.
type Export struct {
	Name  string
	Kind  byte
	Index uint32
}

// Memory is the one linear memory, in pages of 64 KiB.
type Memory struct {
	Present  bool
	Min, Max uint32
	// HasMax is false where the module left the upper limit open.
	HasMax bool
}

// Custom is a section that means nothing to the machine.
type Custom struct {
	Name string
	Size int
}

// Body is the code of one function.
type Body struct {
	// Locals is the number of parameters and declared locals.
	Locals int
	groups []byte
	ngroup int
	code   []byte
	points []point
}

// Value types of the binary format (Core 2.0, 5.3.1).
const (
	I32  = 0x7f
	I64  = 0x7e
	F32  = 0x7d
	F64  = 0x7c
	V128 = 0x7b
)

// Func returns the signature of an exported function.
func (m *Module) Func(name string) (FuncType, bool) {
	for _, e := range m.Exports {
		if e.Name == name && e.Kind == 0 {
			return m.Types[m.Funcs[e.Index]], true
		}
	}
	return FuncType{}, false
}

// Exported returns the export of that name.
func (m *Module) Exported(name string) (Export, bool) {
	for _, e := range m.Exports {
		if e.Name == name {
			return e, true
		}
	}
	return Export{}, false
}

// MutableNames returns the names under which [Module.Meter] exports the state
// that is outside the memory.
func (m *Module) MutableNames() []string {
	var names []string
	for i, g := range m.Globals {
		if g.Mutable {
			names = append(names, GlobalName(i))
		}
	}
	return names
}

// GlobalName is the export of the mutable global with that index.
func GlobalName(i int) string { return "$global" + strconv.Itoa(i) }
