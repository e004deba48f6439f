package wasmcmd

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"portcullis/gateway/transform"
	"portcullis/gateway/transform/guest"
	"portcullis/gateway/transform/native"
)

// benchTime is how long one line of the table is measured.
const benchTime = 200 * time.Millisecond

// Bench measures a module file on log records of the given sizes: time, fuel per
// byte, and the ratio to the native redactor on the same record. It suggests a
// limit of fuel with room for four times the worst.
func Bench(ctx context.Context, w io.Writer, file string, sizes ...int) error {
	bin, err := transform.ReadModule(file)
	if err != nil {
		return err
	}
	engine, err := guest.NewEngine(ctx, "")
	if err != nil {
		return oneLine(err)
	}
	defer func() { _ = engine.Close() }()
	start := time.Now()
	m, err := engine.Load(bin, guest.Config{Stub: entry(bin).WASI != "", Isolation: guest.Pooled, Pool: 1})
	if err != nil {
		return oneLine(err)
	}
	fresh, err := engine.Load(bin, guest.Config{Stub: entry(bin).WASI != "", Isolation: guest.Fresh, Pool: 1})
	if err != nil {
		return oneLine(err)
	}
	fmt.Fprintf(w, "load      %v\n", time.Since(start).Round(time.Microsecond))
	if err := instantiate(w, fresh); err != nil {
		return oneLine(err)
	}
	return oneLine(lines(w, m, sizes))
}

func instantiate(w io.Writer, fresh *guest.Module) error {
	in := new(transform.Entry).Input(guest.Log, nil, []byte("{}"))
	each, err := measure(func() error { _, _, err := fresh.Append(nil, in); return err })
	fmt.Fprintf(w, "instance  %v with one call\n\n", each)
	return err
}

func lines(w io.Writer, m *guest.Module, sizes []int) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "BYTES\tTIME\tFUEL\tFUEL/BYTE\tNATIVE\tRATIO\tSUGGESTED FUEL")
	for _, size := range sizes {
		if err := line(t, m, size); err != nil {
			return err
		}
	}
	return t.Flush()
}

func line(w io.Writer, m *guest.Module, size int) error {
	record := []byte(Record(size))
	in := new(transform.Entry).Input(guest.Log, nil, record)
	in.Fuel = 1 << 40
	var dst []byte
	var used guest.Out
	each, err := measure(func() (err error) { dst, used, err = m.Append(dst[:0], in); return err })
	if err != nil {
		return err
	}
	floor := native.New()
	base, err := measure(func() error { dst = floor.Append(dst[:0], record); return nil })
	fmt.Fprintf(w, "%d\t%v\t%d\t%.1f\t%v\t%.2f\t%d\n", len(record), each, used.Fuel,
		float64(used.Fuel)/float64(len(record)), base, float64(each)/float64(base), 4*used.Fuel)
	return err
}

func measure(f func() error) (time.Duration, error) {
	start, n := time.Now(), 0
	for time.Since(start) < benchTime {
		for range 10 {
			if err := f(); err != nil {
				return 0, err
			}
		}
		n += 10
	}
	return time.Since(start) / time.Duration(n), nil
}

// Record returns a log record of about the given size: what a call leaves, with
// one secret key and one token.
func Record(size int) string {
	const head = `{"time":"2026-01-01T00:00:00.123456Z","level":"INFO","msg":"call","op":"kv.read","mount":"secret",` +
		`"path":"mcp/agent/app/config","subject":"agent-17","request_id":"0a1b2c3d4e5f","status":200,"duration_ms":1.25,` +
		`"password":"hunter2","note":"hvs.CAESIJ4example0example0"`
	const more = `,"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","user_agent":"client/1.2 (linux; amd64)","region":"eu-central","attempt":1`
	n := max(0, size-len(head)-1) / len(more)
	rest := max(0, size-len(head)-n*len(more)-len(`,"x":""}`))
	return head + strings.Repeat(more, n) + `,"x":"` + strings.Repeat("x", rest) + `"}`
}
