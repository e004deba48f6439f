package transform_test

import (
	"context"
	"io/fs"
	"runtime"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"portcullis/gateway/transform"
	"portcullis/gateway/transform/abuse"
	"portcullis/gateway/transform/guest"
	"portcullis/gateway/transform/native"
	"portcullis/gateway/transform/wasmcmd"
	"portcullis/wasm"
)

// compare runs two functions in turns, so that both see the same noise, and
// reports nanoseconds of each, their ratio, and the least of the turns of each: what
// they cost while nothing else runs.
func compare(b *testing.B, f, base func()) {
	const batch = 200
	turn := func(f func(), total, least *time.Duration) {
		start := time.Now()
		for range batch {
			f()
		}
		d := time.Since(start)
		*total += d
		if *least == 0 || d < *least {
			*least = d
		}
	}
	var tf, tb, lf, lb time.Duration
	for b.Loop() {
		turn(f, &tf, &lf)
		turn(base, &tb, &lb)
	}
	n := float64(b.N * batch)
	b.ReportMetric(float64(tf.Nanoseconds())/n, "ns")
	b.ReportMetric(float64(tb.Nanoseconds())/n, "base-ns")
	b.ReportMetric(float64(tf)/float64(tb), "ratio")
	b.ReportMetric(float64(lf.Nanoseconds())/batch, "least-ns")
	b.ReportMetric(float64(lb.Nanoseconds())/batch, "least-base-ns")
	b.ReportMetric(0, "ns/op")
}

func loadGuest(b *testing.B, bin []byte, isolation guest.Isolation) *guest.Module {
	b.Helper()
	e, err := guest.NewEngine(b.Context(), "")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { e.Close() })
	m, err := e.Load(bin, guest.Config{Isolation: isolation, Pages: 16})
	if err != nil {
		b.Fatal(err)
	}
	return m
}

func redact(b *testing.B) []byte {
	b.Helper()
	bin, err := fs.ReadFile(wasm.Modules, "redact/redact.wasm")
	if err != nil {
		b.Fatal(err)
	}
	return bin
}

// BenchmarkCallCost is a call with 1 KiB in and out against copying 1 KiB twice, and
// against the least that any host can do: copy in, one call of a guest without fuel,
// copy out, with no pool, no clearing and no check.
func BenchmarkCallCost(b *testing.B) {
	m := loadGuest(b, abuse.Echo(), guest.Pooled)
	payload := []byte(wasmcmd.Record(1024))
	var dst, scratch []byte
	call := func() {
		dst, _, _ = m.Append(dst[:0], guest.In{Hook: guest.Log, Payload: payload, Fuel: 10000, Limit: 4096})
	}
	b.Run("copy", func(b *testing.B) {
		compare(b, call, func() {
			scratch = append(scratch[:0], payload...)
			dst = append(dst[:0], scratch...)
		})
	})
	mem, transform := bare(b, abuse.Echo())
	ctx, stack := context.Background(), [3]uint64{}
	b.Run("bare", func(b *testing.B) {
		compare(b, call, func() {
			const at = 1028
			mem.Write(at, payload)
			stack = [3]uint64{uint64(guest.Log), at - 4, uint64(len(payload) + 4)}
			_ = transform.CallWithStack(ctx, stack[:])
			view, _ := mem.Read(uint32(stack[0]>>32), uint32(stack[0]))
			dst = append(dst[:0], view...)
		})
		if string(dst) != string(payload) {
			b.Fatalf("got %q", dst)
		}
	})
}

// bare is a guest without anything of ours around it.
func bare(b *testing.B, bin []byte) (api.Memory, api.Function) {
	b.Helper()
	rt := wazero.NewRuntime(b.Context())
	b.Cleanup(func() { rt.Close(context.Background()) })
	mod, err := rt.Instantiate(b.Context(), bin)
	if err != nil {
		b.Fatal(err)
	}
	return mod.Memory(), mod.ExportedFunction("transform")
}

// BenchmarkRedact is the module with fuel against a scalar loop in Go that finds
// the same things, and against the native floor, which finds more.
func BenchmarkRedact(b *testing.B) {
	m := loadGuest(b, redact(b), guest.Pooled)
	record := []byte(wasmcmd.Record(1024))
	var dst, other []byte
	run := func() {
		dst, _, _ = m.Append(dst[:0], guest.In{Hook: guest.Log, Payload: record, Fuel: 1 << 30, Limit: 4096})
	}
	b.Run("scalar", func(b *testing.B) { compare(b, run, func() { other = scalar(other[:0], record) }) })
	if string(dst) != string(other) {
		b.Fatalf("module gives %s\nscalar loop %s", dst, other)
	}
	floor := native.New()
	b.Run("floor", func(b *testing.B) { compare(b, run, func() { other = floor.Append(other[:0], record) }) })
}

// scalar is the module in plain Go: one byte at a time, a list of names, a list of
// prefixes.
func scalar(dst, text []byte) []byte {
	names := [...]string{
		"password", "passwd", "pwd", "passphrase", "secret", "secretid", "token", "apikey", "privatekey", "secretkey",
		"accesskey", "signingkey", "encryptionkey", "authorization", "cookie", "credential", "credentials", "unsealkey", "dsn",
	}
	prefixes := [...]string{"hvs.", "hvb.", "hvr.", "s.", "b.", "eyJ", "AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"}
	last := 0
	for i := 0; i < len(text); i++ {
		start, end := i, i
		switch text[i] {
		case ':':
			start, end = scalarString(text, i, names[:])
		case 'h', 's', 'b', 'e', 'A', 'g':
			end = scalarToken(text, i, prefixes[:])
		}
		if end > start {
			dst = append(append(dst, text[last:start]...), native.Redacted...)
			last, i = end, end-1
		}
	}
	return append(dst, text[last:]...)
}

// scalarString returns the inside of the string that belongs to a secret name in
// front of the colon at i.
func scalarString(text []byte, i int, names []string) (int, int) {
	if i == 0 || text[i-1] != '"' || i+2 >= len(text) || text[i+1] != '"' {
		return i, i
	}
	for _, name := range names {
		if !scalarSuffix(text[:i-1], name) {
			continue
		}
		for end := i + 2; end < len(text); end++ {
			if text[end] == '"' && text[end-1] != '\\' {
				return i + 2, end
			}
		}
	}
	return i, i
}

func scalarSuffix(text []byte, name string) bool {
	i := len(text) - 1
	for k := len(name) - 1; k >= 0; i-- {
		if i < 0 {
			return false
		}
		c := text[i]
		if c == '-' || c == '_' {
			continue
		}
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != name[k] {
			return false
		}
		k--
	}
	return true
}

func scalarToken(text []byte, i int, prefixes []string) int {
	if i > 0 && scalarWord(text[i-1]) {
		return i
	}
	for _, p := range prefixes {
		if len(text)-i < len(p) || string(text[i:i+len(p)]) != p {
			continue
		}
		end := i + len(p)
		for end < len(text) && scalarWord(text[end]) {
			end++
		}
		if end-i-len(p) >= 12 {
			return end
		}
	}
	return i
}

func scalarWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// BenchmarkInstantiate is a new instance and one empty call.
func BenchmarkInstantiate(b *testing.B) {
	m := loadGuest(b, redact(b), guest.Fresh)
	for b.Loop() {
		if _, _, err := m.Append(nil, guest.In{Hook: guest.Log, Payload: []byte("{}"), Fuel: 100_000, Limit: 100}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLine is a log record through the base redactor and the module redact, on
// one core.
func BenchmarkLine(b *testing.B) {
	set, err := transform.Open(b.Context(), "../../wasm/manifest.yaml", transform.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(set.Close)
	record, base := []byte(wasmcmd.Record(1024)+"\n"), native.New()
	var line, redacted []byte
	for b.Loop() {
		var keep bool
		redacted = base.Append(redacted[:0], record)
		if line, keep = set.Log(line[:0], redacted); !keep {
			b.Fatal("dropped")
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkNeighbours reports the slowest of 500 honest calls a second while a
// module misbehaves without a pause and without a breaker.
func BenchmarkNeighbours(b *testing.B) {
	for _, procs := range []int{1, 2} {
		b.Run("nobody/procs="+string('0'+rune(procs)), func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			neighbours(b, abuse.Echo())
		})
		for _, name := range []string{"infinite loop", "2^34 calls without a loop", "straight line of memory.fill", "deep recursion", "grow bomb", "pointer chase"} {
			b.Run(name+"/procs="+string('0'+rune(procs)), func(b *testing.B) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
				neighbours(b, module(b, name))
			})
		}
	}
}

func neighbours(b *testing.B, bin []byte) {
	e, err := guest.NewEngine(b.Context(), "")
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	bad, err := e.Load(bin, guest.Config{})
	if err != nil {
		b.Fatal(err)
	}
	good, err := e.Load(abuse.Echo(), guest.Config{})
	if err != nil {
		b.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	for range 2 {
		go func() {
			defer func() { done <- struct{}{} }()
			for {
				select {
				case <-stop:
					return
				default:
					_, _, _ = bad.Append(nil, new(transform.Entry).Input(guest.Response, nil, make([]byte, 20_000)))
				}
			}
		}()
	}
	var worst time.Duration
	for b.Loop() {
		start := time.Now()
		due := time.NewTimer(2 * time.Millisecond)
		<-due.C
		_, _, _ = good.Append(nil, new(transform.Entry).Input(guest.Response, nil, []byte(`{"a":1}`)))
		worst = max(worst, time.Since(start)-2*time.Millisecond)
	}
	close(stop)
	<-done
	<-done
	b.ReportMetric(float64(worst.Microseconds())/1000, "worst-ms")
}
