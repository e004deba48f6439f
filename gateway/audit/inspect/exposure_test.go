package inspect_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/audit/inspect"
)

// leak is a made-up log, with what a reader of it must find about secret/leaked@3: how often
// each caller got it, by form.
type leak struct {
	lines  []string
	want   map[string]map[string]int
	newest int
}

// call adds a call's lines, of which the outcome comes some lines later or never.
func (l *leak) call(r *rand.Rand, at time.Time) {
	n := len(l.lines)
	pick := func(all ...string) string { return all[r.IntN(len(all))] }
	who, behalf, op := fmt.Sprint("agent-", r.IntN(40)), pick("", "", "ann", "acme/ben"), pick("kv.read", "kv.read", "kv.read", "kv.metadata", "kv.subkeys", "kv.list", "kv.delete")
	path := pick("leaked", "leaked", "leaked", "leaked/below", "leaked2", "Leaked", "other", "mcp/leaked")
	deliver, code := pick("plain", "plain", "masked", "wrapped"), pick("ok", "ok", "ok", "not_found", "forbidden", "vault_error")
	masked, asked := r.IntN(5) == 0, max(0, r.IntN(8)-4)
	if r.IntN(300) == 0 || l.newest == 0 {
		op, path, code, asked = pick("kv.write", "kv.patch"), "leaked", "ok", 0
		l.newest++
	}
	version := l.newest
	if asked > l.newest {
		asked = 0 // there is none
	}
	if asked > 0 {
		version = asked
	}
	head := func(kind string) string {
		s := fmt.Sprintf(`{"seq":1,"prev":"","time":%q,"type":%q,"decision_id":"d%d","subject":%q,"op":%q,"effect":"read","mount":"secret","path":%q,"args":{"version":%d},"allow":true,"deliver":%q`,
			at.Format(time.RFC3339Nano), kind, n, who, op, path, asked, deliver)
		if masked {
			s += `,"masked":true`
		}
		if tenant, name, ok := strings.Cut(behalf, "/"); ok {
			s += fmt.Sprintf(`,"on_behalf_of":%q,"on_behalf_of_tenant":%q`, name, tenant)
		} else if behalf != "" {
			s += fmt.Sprintf(`,"on_behalf_of":%q`, behalf)
		}
		return s
	}
	l.lines = append(l.lines, head("intent")+"}")
	form := deliver
	if masked && deliver != "wrapped" {
		form = "masked"
	}
	if op == "kv.write" || op == "kv.patch" {
		form = "written"
	}
	if r.IntN(50) == 0 { // it was killed
		form, code = "unknown", "ok"
	} else {
		l.lines = append(l.lines, head("outcome")+fmt.Sprintf(`,"code":%q,"version":%d}`, code, version))
	}
	if path == "leaked" && code == "ok" && version == 3 && slices.Contains([]string{"kv.read", "kv.write", "kv.patch"}, op) {
		if l.want[form] == nil {
			l.want[form] = map[string]int{}
		}
		l.want[form][who+" for "+behalf]++
	}
}

// shuffled is the log with outcomes behind what other callers did meanwhile.
func (l *leak) shuffled(r *rand.Rand) []string {
	type placed struct {
		line string
		at   int
	}
	var all []placed
	for i, line := range l.lines {
		if strings.Contains(line, `"type":"outcome"`) && !strings.Contains(line, `"op":"kv.write"`) && !strings.Contains(line, `"op":"kv.patch"`) {
			i += r.IntN(30) // what a write has made is read afterwards
		}
		all = append(all, placed{line, i})
	}
	slices.SortStableFunc(all, func(a, b placed) int { return a.at - b.at })
	var out []string
	for _, p := range all {
		out = append(out, p.line)
	}
	return out
}

// atLeast tells whether all who got it are among those that were found.
func (l *leak) atLeast(form string, got map[string]int) bool {
	for who, n := range l.want[form] {
		if got[who] < n {
			return false
		}
	}
	return true
}

// TestExposureListsExactlyTheReceivers: of logs that are made up, with other paths, other
// versions, failures, and calls that were killed, each caller that got the version is listed
// once for each form with as many times as it did, and nobody else. Of calls that were killed
// those are listed that may have got it.
func TestExposureListsExactlyTheReceivers(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	at := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	for range 10 {
		l := leak{want: map[string]map[string]int{}}
		for range 200 + r.IntN(1500) {
			at = at.Add(time.Duration(r.IntN(5000)) * time.Millisecond)
			l.call(r, at)
		}
		dir, all := t.TempDir(), l.shuffled(r)
		var files []string
		for part := range slices.Chunk(all, 1+len(all)/3) {
			files = append(files, filepath.Join(dir, fmt.Sprint(len(files), ".jsonl")))
			if err := os.WriteFile(files[len(files)-1], []byte(strings.Join(part, "\n")+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		x, err := inspect.Exposure(inspect.Files{Names: files}, "kv://secret/leaked@3", at)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for form, list := range map[string][]inspect.Receiver{"plain": x.Plain, "masked": x.Masked, "wrapped": x.Wrapped, "written": x.Written, "unknown": x.Unknown} {
			got := map[string]int{}
			for _, rec := range list {
				got[rec.Who+" for "+rec.OnBehalfOf] += rec.Count
			}
			if form == "unknown" && l.atLeast(form, got) {
				continue
			}
			if !maps.Equal(got, l.want[form]) || len(got) != len(list) {
				t.Errorf("seed %d: %s: got %v, want %v", seed, form, got, l.want[form])
			}
		}
	}
}
