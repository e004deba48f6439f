package wasmcmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"portcullis/gateway/transform"
	"portcullis/gateway/transform/guest"
	"portcullis/gateway/transform/wasmbin"
)

// Trial is a module that is run once, under the default limits and without a meta part.
// It needs no manifest.
type Trial struct {
	File, Hook string
	Counters   []string  // under which it may count
	Log        io.Writer // for what it logs and counts, also when it fails
}

// Run transforms in to out. The output is held to what the input was: UTF-8, and JSON
// where the input is JSON.
func (t Trial) Run(ctx context.Context, in io.Reader, out io.Writer) error {
	res, err := t.run(ctx, in)
	if err != nil {
		return oneLine(err)
	}
	_, err = out.Write(res)
	return err
}

func (t Trial) run(ctx context.Context, in io.Reader) ([]byte, error) {
	h, err := guest.ParseHook(t.Hook)
	if err != nil {
		return nil, err
	}
	bin, err := transform.ReadModule(t.File)
	if err != nil {
		return nil, err
	}
	payload, err := readInput(in, h)
	if err != nil {
		return nil, err
	}
	engine, err := guest.NewEngine(ctx, "")
	if err != nil {
		return nil, err
	}
	defer func() { _ = engine.Close() }()
	e := entry(bin)
	mod, err := engine.Load(bin, guest.Config{Stub: e.WASI != "", Isolation: guest.Fresh, Pool: 1, Logs: true, Counters: append([]string{}, t.Counters...)})
	if err != nil {
		return nil, err
	}
	return t.call(mod, e, h, payload)
}

// emitted writes what a module logged and counted, with what the gateway hides hidden.
func (t Trial) emitted(said *guest.Emitted, payload []byte) {
	if said == nil {
		return
	}
	for _, l := range said.Lines {
		fmt.Fprintln(t.Log, transform.Logged(l, payload))
	}
	for i, n := range said.Counts {
		fmt.Fprintf(t.Log, "counted: %s %d\n", t.Counters[i], n)
	}
	if said.Lost > 0 {
		fmt.Fprintf(t.Log, "dropped: %d lines beyond four, or counts under a name that --counters does not list\n", said.Lost)
	}
}

// readInput reads at most what the gateway would give to the hook.
func readInput(in io.Reader, h guest.Hook) ([]byte, error) {
	limit := transform.InputLimit(h)
	payload, err := io.ReadAll(io.LimitReader(in, int64(limit)+1))
	if err != nil {
		return nil, fmt.Errorf("read input: %w", err)
	}
	if len(payload) > limit {
		return nil, fmt.Errorf("input is longer than %d bytes", limit)
	}
	return payload, nil
}

// call treats the end of a log line as the gateway does: it is not the guest's.
func (t Trial) call(mod *guest.Module, e *transform.Entry, h guest.Hook, payload []byte) ([]byte, error) {
	text, end := payload, ""
	if line, ok := bytes.CutSuffix(payload, []byte("\n")); ok && h == guest.Log {
		text, end = line, "\n"
	}
	res, used, err := mod.Append(nil, e.Input(h, nil, text))
	t.emitted(used.Emitted, text)
	if err != nil {
		return nil, err
	}
	if !used.Changed {
		return payload, nil
	}
	if !utf8.Valid(res) || transform.Valid(h, text) && !transform.Valid(h, res) {
		return nil, errors.New("output is not what the hook allows")
	}
	return append(res, end...), nil
}

// entry stands for a module without a manifest. It gets the system interface if
// it imports anything of a system.
func entry(bin []byte) *transform.Entry {
	e := new(transform.Entry)
	m, err := wasmbin.Decode(bin, wasmbin.Stub(func(string, string) bool { return true }))
	if err == nil && slices.ContainsFunc(m.Imports, func(i wasmbin.Import) bool { return i.Module != guest.HostModule }) {
		e.WASI = "stub"
	}
	return e
}

// oneLine leaves out the stack of a trap and puts a list of errors into one line.
func oneLine(err error) error {
	if err == nil {
		return nil
	}
	text, _, _ := strings.Cut(err.Error(), "\nwasm stack trace:")
	return errors.New(strings.ReplaceAll(text, "\n", "; "))
}
