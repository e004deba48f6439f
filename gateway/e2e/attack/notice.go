package attack

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"portcullis/gateway/e2e/hostile"
)

// Noticed is what an attack did to others.
type Noticed struct {
	hostile.Noticed        // the honest caller's calls
	Requests           int // that the attacker made
	Probes             int // of /livez and /readyz
	ProbesFailed       []string
	Resident           int // the most memory that the gateway held, bytes
	Files              int // the most descriptors that it had open
	EvidenceUnreadable int // lines that are not one JSON object
	EvidenceMissing    int // honest calls without intent or outcome
	EvidenceBytes      int64
	garbage            int // Attack.Garbage
	FilesAfter         int // once the attacker has gone
	ResidentAfter      int
}

// Watch makes honest calls for d while the attack runs, and tells what was noticed.
// A nil attack is nobody.
func (t *Target) Watch(ctx context.Context, a *Attack, rate int, d time.Duration) Noticed {
	var n Noticed
	attacking, stop := context.WithTimeout(ctx, d+time.Minute)
	defer stop()
	before := t.evidence(nil)
	var wg sync.WaitGroup
	if a != nil {
		wg.Go(func() { n.Requests = a.Run(attacking, t) })
	}
	watching, watched := context.WithCancel(ctx)
	var watchers sync.WaitGroup
	watchers.Go(func() { t.probe(watching, &n) })
	watchers.Go(func() { t.sample(watching, &n) })
	if a != nil {
		n.garbage = a.Garbage
	}
	n.Noticed = hostile.Steady(ctx, rate, d, t.honestCall)
	stop()
	wg.Wait()
	watched()
	watchers.Wait()
	after := t.evidence(&n)
	n.EvidenceMissing = max(0, 2*n.Calls-(after-before))
	n.FilesAfter, n.ResidentAfter = t.settled()
	return n
}

// probe asks the probes as an orchestrator would, four times a second.
func (t *Target) probe(ctx context.Context, n *Noticed) {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: anyServer()}}
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, path := range []string{"/livez", "/readyz"} {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.URL+path, nil)
			if err != nil {
				return
			}
			resp, err := client.Do(req)
			if ctx.Err() != nil {
				return
			}
			n.Probes++
			if err != nil {
				n.ProbesFailed = append(n.ProbesFailed, path+": "+err.Error())
				continue
			}
			if resp.StatusCode != http.StatusOK {
				body, _ := io.ReadAll(io.LimitReader(resp.Body, 500)) // for the report alone
				n.ProbesFailed = append(n.ProbesFailed, fmt.Sprintf("%s: %d %s", path, resp.StatusCode, body))
			}
			_ = resp.Body.Close()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// sample looks at the gateway's memory and descriptors.
func (t *Target) sample(ctx context.Context, n *Noticed) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		n.Resident, n.Files = max(n.Resident, resident(t.PID())), max(n.Files, files(t.PID()))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// settled waits until the descriptors of an attack are closed, and returns what is
// left. An answer that nobody takes has 20 seconds, so it waits for a little longer.
func (t *Target) settled() (open, memory int) {
	for range 300 {
		if open = files(t.PID()); open < moreFiles {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	return open, resident(t.PID())
}

// evidence counts the lines about the honest caller's calls. With n it also reports
// lines that cannot be read.
func (t *Target) evidence(n *Noticed) (lines int) {
	names, _ := filepath.Glob(filepath.Join(t.LogDir, "audit*.jsonl")) // the pattern is right
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		if info, err := f.Stat(); err == nil && n != nil {
			n.EvidenceBytes += info.Size()
		}
		s := bufio.NewScanner(f)
		s.Buffer(nil, 64<<20)
		for s.Scan() {
			var line struct {
				Subject string `json:"subject"`
			}
			if err := json.Unmarshal(s.Bytes(), &line); err != nil && n != nil {
				n.EvidenceUnreadable++
			}
			if line.Subject == honestSubject {
				lines++
			}
		}
		_ = f.Close()
	}
	return lines
}

// resident is the memory of a process in bytes, 0 where the system does not tell.
func resident(pid int) int {
	var size, pages int
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid)); err == nil {
		_, _ = fmt.Sscan(string(text), &size, &pages) // the kernel's own format
	}
	return pages * os.Getpagesize()
}

// files is the number of descriptors that a process has open.
func files(pid int) int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)) // none where the system does not tell
	return len(entries)
}

// Bad lists everything that the attack must not have done. base is what was noticed
// of nobody. Times are not judged: the attacker shares the machine.
func (n Noticed) Bad(base Noticed) []string {
	var bad []string
	say := func(wrong bool, format string, args ...any) {
		if wrong {
			bad = append(bad, fmt.Sprintf(format, args...))
		}
	}
	say(len(n.Failed) > 0, "%d of %d honest calls failed, the first: %s", len(n.Failed), n.Calls, first(n.Failed))
	say(len(n.ProbesFailed) > 0, "%d of %d probes failed, the first: %s", len(n.ProbesFailed), n.Probes, first(n.ProbesFailed))
	say(n.Resident > base.Resident+moreMemory+n.garbage, "%d MiB held, %d without the attack", n.Resident>>20, base.Resident>>20)
	say(n.EvidenceUnreadable > 0, "%d lines of evidence cannot be read", n.EvidenceUnreadable)
	say(n.EvidenceMissing > 0, "%d lines of evidence are missing", n.EvidenceMissing)
	say(n.FilesAfter > base.Files+moreFiles, "%d descriptors are left open, %d without the attack", n.FilesAfter, base.Files)
	return bad
}

// What an attack may make the gateway hold beyond what it holds without it. The
// connections to Vault that a caller's calls have opened are kept for the next ones.
const (
	moreMemory = 64 << 20
	moreFiles  = 64 + 128
)

func first(texts []string) string {
	if len(texts) == 0 {
		return ""
	}
	return strings.ReplaceAll(texts[0], "\n", " ")
}
