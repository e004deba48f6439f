package wasmcmd

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"strconv"
	"strings"

	"portcullis/gateway/transform"
	"portcullis/gateway/transform/guest"
	"portcullis/gateway/transform/wasmbin"
)

// Inspect describes a module file and tells whether it could be loaded. Nothing
// of it is executed.
func Inspect(ctx context.Context, w io.Writer, file string) error {
	bin, err := transform.ReadModule(file)
	if err != nil {
		return err
	}
	engine, err := guest.NewEngine(ctx, "")
	if err != nil {
		return oneLine(err)
	}
	defer func() { _ = engine.Close() }()
	stub := entry(bin).WASI != ""
	fmt.Fprintf(w, "file      %s\nsize      %d bytes\nsha256    %x\n", file, len(bin), sha256.Sum256(bin))
	m, err := engine.Inspect(bin, stub)
	if m != nil {
		describe(w, m, stub)
	}
	if err != nil {
		fmt.Fprintf(w, "verdict   refused: %v\n", oneLine(err))
		return fmt.Errorf("%s is refused", file)
	}
	fmt.Fprintln(w, "verdict   can be loaded")
	return nil
}

func describe(w io.Writer, m *wasmbin.Module, stub bool) {
	fmt.Fprintf(w, "imports   %s\n", list(m.Imports, func(i wasmbin.Import) string { return i.Module + "." + i.Name }))
	fmt.Fprintf(w, "exports   %s\n", list(m.Exports, func(e wasmbin.Export) string { return e.Name }))
	fmt.Fprintf(w, "custom    %s\n", list(m.Customs, func(c wasmbin.Custom) string { return fmt.Sprintf("%s (%d bytes)", c.Name, c.Size) }))
	fmt.Fprintf(w, "memory    %d pages at the start, %s at most\n", m.Memory.Min, maximum(m.Memory))
	fmt.Fprintf(w, "functions %d, mutable globals %d, start function %v\n", len(m.Funcs), len(m.MutableNames()), m.Start)
	if stub {
		fmt.Fprintln(w, "system    needs wasi: stub in the manifest")
	}
	for _, im := range m.Imports {
		if im.Module == guest.HostModule {
			fmt.Fprintf(w, "says      needs %s in the manifest\n", map[string]string{"log": "logs: true", "count": "counters"}[im.Name])
		}
	}
	if metered, err := m.Meter(m.Memory.Min + 1); err == nil {
		fmt.Fprintf(w, "metered   %d bytes\n", len(metered))
	}
}

func list[T any](items []T, text func(T) string) string {
	if len(items) == 0 {
		return "none"
	}
	out := make([]string, len(items))
	for i, item := range items {
		out[i] = printable(text(item))
	}
	return strings.Join(out, " ")
}

// printable escapes what a module's author could send to a terminal.
func printable(s string) string { return strings.Trim(strconv.QuoteToGraphic(s), `"`) }

func maximum(m wasmbin.Memory) string {
	if !m.HasMax {
		return "what the manifest allows"
	}
	return fmt.Sprint(m.Max)
}
