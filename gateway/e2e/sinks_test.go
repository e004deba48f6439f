package e2e_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
	"portcullis/gateway/retry"
)

// rsyslog is the syslog server of Debian, which writes the text of each message into a
// file.
type rsyslog struct {
	*stack.Process
	dir, file, addr string
}

// startRsyslog starts it, in the directory of an earlier one at its address.
func startRsyslog(t *testing.T, dir, addr string) *rsyslog {
	t.Helper()
	if addr == "" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr = l.Addr().String()
		_ = l.Close() // its number is taken again at once
	}
	r := &rsyslog{dir: dir, file: filepath.Join(dir, "messages"), addr: addr}
	_, port, _ := net.SplitHostPort(addr)
	conf := fmt.Sprintf(`global(workDirectory=%q maxMessageSize="1m")
module(load="imtcp")
input(type="imtcp" port=%q address="127.0.0.1")
template(name="text" type="string" string="%%app-name%% %%msgid%% %%syslogfacility%% %%msg%%\n")
action(type="omfile" file=%q template="text")
`, dir, port, r.file)
	if err := os.WriteFile(filepath.Join(dir, "rsyslog.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	r.Process, err = stack.Start(t.Context(), stack.Command{
		Path: "/usr/sbin/rsyslogd", Args: []string{"-n", "-f", filepath.Join(dir, "rsyslog.conf"), "-i", filepath.Join(dir, "pid")}, Dir: dir,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Stop() }) // a test has stopped it, or has failed
	e2e.Eventually(t, "rsyslog listens", func() bool {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
	return r
}

// lines are the texts of the messages as they came, those that came twice included.
func (r *rsyslog) lines(t *testing.T) (out []byte) {
	t.Helper()
	raw, err := os.ReadFile(r.file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for line := range bytes.Lines(raw) {
		head, text, ok := bytes.Cut(line, []byte("{"))
		if f := strings.Fields(string(head)); !ok || len(f) != 3 || f[0] != "portcullis" || f[2] != "13" {
			t.Fatalf("a message is not as it was sent: %q", line)
		}
		out = append(append(out, '{'), text...)
	}
	return out
}

// ingest is an HTTPS receiver that is restarted at its address; what it has taken stays.
type ingest struct {
	*httptest.Server
	slow  sync.RWMutex      // held for writing while no request is answered
	mu    sync.Mutex        // guards taken
	taken map[string][]byte // by path
}

func (i *ingest) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	i.slow.RLock()
	defer i.slow.RUnlock()
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		return // a connection that has ended
	}
	lines, err := io.ReadAll(z)
	if err != nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.taken[r.URL.Path] = append(i.taken[r.URL.Path], lines...)
}

func (i *ingest) start(t *testing.T, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	i.Server = httptest.NewUnstartedServer(i)
	_ = i.Listener.Close() // the other one is used
	i.Listener = l
	i.StartTLS()
}

func (i *ingest) of(path string) []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	return once(i.taken[path])
}

// callsMeanwhile makes calls for so long as a receiver is away or slow, each of which is
// answered with success, and samples the gateway's memory.
func callsMeanwhile(t *testing.T, g *stack.Gateway) (samples []int) {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	answers := &tallied{codes: map[string]int{}}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer end()
	for c := range 8 {
		wg.Go(func() { answers.load(ctx, t, g, c) })
	}
	samples = memoryFor(ctx, t, g, *outage)
	e2e.Eventually(t, "calls are served", func() bool { return answers.of("ok") > 60 })
	end()
	wg.Wait()
	if answers.of("ok") != len(answers.done) || len(answers.codes) != 1 {
		t.Errorf("calls were answered with %v", answers.codes)
	}
	t.Logf("%d calls, resident %s", len(answers.done), span(samples))
	return samples
}

// TestReceiversAreRestarted: rsyslog, an HTTPS receiver and a collector of traces are
// stopped and started again while calls go on, and then they do not answer for a while.
// Each receiver of evidence gets every line, in the file's order; one that asks for OCSF
// gets an event for every line. Calls after that leave complete traces again.
func TestReceiversAreRestarted(t *testing.T) {
	v, dir, collector := e2e.StartVault(t), t.TempDir(), collectTraces(t)
	syslog := startRsyslog(t, dir, "")
	https := &ingest{taken: map[string][]byte{}}
	https.start(t, "127.0.0.1:0")
	t.Cleanup(func() { https.Close() })
	addr, ca := https.Listener.Addr().String(), filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: https.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	g := e2e.StartGateway(t, v, "RATE_LIMIT_ENABLED=false", "ADMIN_ADDR=127.0.0.1:0", "ADMIN_OPEN_METRICS=true", "AUDIT_SINK_CA="+ca, "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL,
		"AUDIT_SINKS=syslog+tcp://"+syslog.addr+",https://"+addr+"/lines,https://"+addr+"/events#format=ocsf")
	calls := func() {
		for n := range 60 {
			e2e.Do(t, "PUT", fmt.Sprintf("%s/secrets/app%d", g.URL, n%5), `{"data":{"k":"v"}}`)
		}
	}
	calls()
	if err := syslog.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*httptest.Server{https.Server, collector.Server} {
		s.CloseClientConnections()
		s.Close()
	}
	away := callsMeanwhile(t, g)
	syslog = startRsyslog(t, dir, syslog.addr)
	https.start(t, addr)
	collector.restart(t)
	calls()
	nothingWaits(t, g)
	slow := receiversThatWait(t, g, syslog, &https.slow, &collector.slow)
	nothingWaits(t, g)
	known, trace, parentSpan := parent(7)
	open(t, "GET", g.URL+"/secrets/app1", "", "Traceparent: "+known)
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	collector.mu.Lock()
	defer collector.mu.Unlock()
	collector.hold(t, trace, parentSpan, "GET /secrets/*path")
	everyLineArrived(t, g, syslog, https)
	isFlat(t, away)
	isFlat(t, slow)
}

// receiversThatWait lets no receiver answer while calls go on.
func receiversThatWait(t *testing.T, g *stack.Gateway, syslog *rsyslog, others ...*sync.RWMutex) (samples []int) {
	t.Helper()
	if err := syslog.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for _, o := range others {
		o.Lock()
		defer o.Unlock()
	}
	defer func() {
		if err := syslog.Signal(syscall.SIGCONT); err != nil {
			t.Error(err)
		}
	}()
	return callsMeanwhile(t, g)
}

// nothingWaits waits until no line waits for any receiver, which is as long as a sink waits
// at most until it tries again, and as delivery takes.
func nothingWaits(t *testing.T, g *stack.Gateway) {
	t.Helper()
	ctx, end := context.WithTimeout(t.Context(), time.Minute+*outage)
	defer end()
	for waiting := 1; waiting > 0; {
		if !retry.Sleep(ctx, 50*time.Millisecond) {
			t.Fatalf("%d lines still wait", waiting)
		}
		waiting = 0
		_, page := e2e.Do(t, "GET", g.AdminURL+"/metrics", "")
		for line := range strings.Lines(string(page)) {
			if _, n, ok := strings.Cut(line, "} "); ok && strings.HasPrefix(line, "portcullis_audit_sink_waiting_lines{") {
				more, err := strconv.Atoi(strings.TrimSpace(n))
				if err != nil {
					t.Fatal(err)
				}
				waiting += more
			}
		}
	}
}

// everyLineArrived holds the receivers of a gateway that has ended to its file. What came to
// rsyslog over a connection that broke may stand behind what came over the next one, as it
// reads them beside each other.
func everyLineArrived(t *testing.T, g *stack.Gateway, syslog *rsyslog, https *ingest) {
	t.Helper()
	raw, err := os.ReadFile(g.AuditFile())
	if err != nil {
		t.Fatal(err)
	}
	sorted := func(text []byte) []byte {
		all := slices.Collect(bytes.Lines(text))
		slices.SortFunc(all, bytes.Compare)
		return bytes.Join(all, nil)
	}
	e2e.Eventually(t, "the last line at rsyslog", func() bool {
		st, err := os.Stat(syslog.file)
		return err == nil && st.Size() > int64(len(raw)) && bytes.Equal(sorted(once(syslog.lines(t))), sorted(raw))
	})
	t.Logf("rsyslog has them in the file's order: %v", bytes.Equal(once(syslog.lines(t)), raw))
	if got := https.of("/lines"); !bytes.Equal(got, raw) {
		t.Errorf("the HTTPS receiver has %d bytes, want %d", len(got), len(raw))
	}
	events := map[float64]bool{}
	for line := range bytes.Lines(https.of("/events")) {
		var e struct {
			Class    int `json:"class_uid"`
			Metadata struct {
				Sequence float64 `json:"sequence"`
			} `json:"metadata"`
		}
		if err := json.Unmarshal(line, &e); err != nil || e.Class != 6003 {
			t.Fatalf("%v in %s", err, line)
		}
		events[e.Metadata.Sequence] = true
	}
	if want := bytes.Count(raw, []byte("\n")); len(events) != want {
		t.Errorf("%d lines became events, want %d", len(events), want)
	}
	t.Logf("%d lines", bytes.Count(raw, []byte("\n")))
}

// TestAReceiverThatNeverAnswersCostsNobody: calls go on behind the point where neither memory
// nor disk takes a line more, both stay within their bounds, what is lost to the sink is
// counted, and the file has every line.
func TestAReceiverThatNeverAnswersCostsNobody(t *testing.T) {
	release := make(chan struct{})
	silent := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer silent.Close()
	defer close(release)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: silent.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	const inMemory, onDisk = 4 << 20, 2 << 20
	g := e2e.StartGateway(t, e2e.StartVault(t), "RATE_LIMIT_ENABLED=false", "ADMIN_ADDR=127.0.0.1:0", "ADMIN_OPEN_METRICS=true",
		"AUDIT_SINKS="+silent.URL+"/in", "AUDIT_SINK_CA="+ca, fmt.Sprint("AUDIT_SPOOL_BYTES=", onDisk), "LOG_LEVEL=error", "DECISION_LOG=off")
	longCalls(t, g, 8)
	before, calls := metric(t, g, "process_resident_memory_bytes"), 8
	for lost := 0.0; lost == 0 && calls < 8000; lost = metric(t, g, "portcullis_audit_sink_lost_total") {
		longCalls(t, g, 80)
		calls += 80
	}
	longCalls(t, g, 80)
	calls += 80
	memory, spool, lost := metric(t, g, "portcullis_audit_sink_memory_bytes"), metric(t, g, "portcullis_audit_sink_spool_bytes"), metric(t, g, "portcullis_audit_sink_lost_total")
	grown := metric(t, g, "process_resident_memory_bytes") - before
	if memory < inMemory/2 || memory > inMemory || spool < onDisk/4 || spool > onDisk || lost == 0 || grown > 96<<20 {
		t.Errorf("%v bytes in memory, %v in the spool, %v lines lost, %v resident more: want both near their bounds, and no more", memory, spool, lost, grown)
	}
	waiting := metric(t, g, "portcullis_audit_sink_waiting_lines")
	t.Logf("%d calls, %.0f bytes in memory, %.0f in the spool, %.0f lines wait, %.0f lost, %.1f MiB resident more", calls, memory, spool, waiting, lost, grown/(1<<20))
	if err := g.Stop(); err != nil {
		t.Log(err) // it says how many lines no spool could take
	}
	if out, code := portcullis(t, nil, "audit", "verify", g.AuditFile()); code != 0 {
		t.Errorf("verify: %d %s", code, out)
	}
	if lines := len(e2e.CallLines(t, g.AuditFile())); lines != 2*calls || waiting+lost < float64(lines) {
		t.Errorf("%d lines of calls are in the file, want two of each of %d; %.0f wait and %.0f are lost", lines, calls, waiting, lost)
	}
}

// longCalls makes so many calls, eight at a time, whose lines are long, and holds that each is
// answered.
func longCalls(t *testing.T, g *stack.Gateway, calls int) {
	t.Helper()
	name := strings.Repeat("/"+strings.Repeat("x", 60), 16)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range calls / 8 {
				if resp, raw := e2e.Do(t, "GET", g.URL+"/secrets"+name, ""); resp.StatusCode != http.StatusNotFound {
					t.Errorf("got %d %s", resp.StatusCode, raw)
				}
			}
		})
	}
	wg.Wait()
}

// metric is the first sample of a family.
func metric(t *testing.T, g *stack.Gateway, family string) (v float64) {
	t.Helper()
	_, page := e2e.Do(t, "GET", g.AdminURL+"/metrics", "")
	for line := range strings.Lines(string(page)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if bare, _, _ := strings.Cut(name, "{"); bare == family {
			if _, err := fmt.Sscan(value, &v); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			return v
		}
	}
	return 0
}
