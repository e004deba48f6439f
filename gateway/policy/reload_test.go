package policy_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/policy"
	"portcullis/gateway/policy/bundle"
)

func write(t testing.TB, dir, name, text string) {
	t.Helper()
	// Whole or not at all, as an operator's tool would.
	tmp := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(tmp, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tmp, filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

const (
	granting = `{grants: {subjects: {agent_api: {db: {readonly: {}}}}}}`
	refusing = `{grants: {subjects: {agent_api: {db: {other: {}}}}}}`
)

// Eight callers decide all the while; every decision must be that of the revision
// it names.
func TestReloadUnderLoad(t *testing.T) {
	dir := team(t, map[string]string{"data.yaml": granting})
	e := open(t, policy.Config{Dir: dir})
	allows := map[string]bool{e.Status().Revision: true}
	write(t, dir, "data.yaml", refusing)
	if err := e.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	allows[e.Status().Revision] = false
	if len(allows) != 2 {
		t.Fatal("the two policies have one revision")
	}

	var stop atomic.Bool
	var calls, wrong, failed atomic.Int64
	var wg sync.WaitGroup
	b := bind(t, agent(t), "db.issue_creds", `{"role":"readonly"}`)
	for range 8 {
		wg.Go(func() {
			pace := time.NewTicker(500 * time.Microsecond) // leaves the processor to the reloads
			defer pace.Stop()
			for !stop.Load() {
				<-pace.C
				d := e.Decide(t.Context(), b)
				calls.Add(1)
				want, known := allows[d.Revision]
				if !known || d.Allow != want {
					wrong.Add(1)
				}
				if d.Code == call.PolicyError || d.Code == call.PolicyTimeout {
					failed.Add(1)
				}
			}
		})
	}
	for i := range 200 {
		write(t, dir, "data.yaml", []string{granting, refusing}[i%2])
		if err := e.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if i%20 == 0 {
			before := e.Status().Revision
			write(t, dir, "broken.rego", "package policy.deny.x\nimport rego.v2\ndeny := true\n")
			if err := e.Reload(t.Context()); err == nil {
				t.Error("a broken policy is taken")
			}
			if s := e.Status(); s.Revision != before || !s.Stale || !strings.Contains(s.LastError, "broken.rego:3") {
				t.Errorf("beside a broken policy: %+v", s)
			}
			if err := os.Remove(filepath.Join(dir, "broken.rego")); err != nil {
				t.Fatal(err)
			}
		}
	}
	stop.Store(true)
	wg.Wait()
	if wrong.Load() != 0 || failed.Load() != 0 {
		t.Errorf("of %d calls, %d disagree with their revision and %d failed", calls.Load(), wrong.Load(), failed.Load())
	}
	if s := e.Status(); s.Stale || s.LastError != "" {
		t.Errorf("after a good policy: %+v", s)
	}
}

func TestTheLastGoodPolicyServesOverARestart(t *testing.T) {
	dir := team(t, map[string]string{"data.yaml": granting})
	kept := filepath.Join(t.TempDir(), "last-good.json")
	c := policy.Config{Dir: dir, LastGood: kept}
	revision := open(t, c).Status().Revision

	write(t, dir, "data.yaml", `{grants: 7}`)
	e := open(t, c)
	s := e.Status()
	if s.Revision != revision || !s.Stale || !strings.Contains(s.LastError, "data.yaml") {
		t.Errorf("got %+v, want revision %s", s, revision)
	}
	if d := e.Decide(t.Context(), bind(t, agent(t), "db.issue_creds", `{"role":"readonly"}`)); !d.Allow {
		t.Errorf("the last good policy does not serve: %+v", d)
	}
	c.LastGood, c.Catalogue = "", catalogue(t)
	if _, err := policy.Open(c); err == nil {
		t.Error("a broken policy opens without a last good one")
	}
}

func TestAPolicyThatIsStaleForTooLongDeniesEverything(t *testing.T) {
	dir := team(t, map[string]string{"data.yaml": granting})
	now := at()
	var mu sync.Mutex
	e := open(t, policy.Config{Dir: dir, MaxStale: time.Hour, Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}})
	b := bind(t, agent(t), "kv.read", `{"path":"a"}`)
	write(t, dir, "data.yaml", `{grants: 7}`)
	for _, step := range []struct {
		advance time.Duration
		allow   bool
	}{{0, true}, {59 * time.Minute, true}, {2 * time.Minute, false}} {
		mu.Lock()
		now = now.Add(step.advance)
		mu.Unlock()
		if err := e.Reload(t.Context()); err == nil {
			t.Fatal("a broken policy is taken")
		}
		if d := e.Decide(t.Context(), b); d.Allow != step.allow {
			t.Errorf("after %v: got %+v", step.advance, d)
		}
	}
	if e.Callable(t.Context(), agent(t), b.Op) || !e.Status().Expired {
		t.Error("lists still offer what is denied")
	}
	write(t, dir, "data.yaml", granting)
	if err := e.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := e.Decide(t.Context(), b); !d.Allow {
		t.Errorf("after a good policy: %+v", d)
	}
}

// Watch must not take a directory that is being written for a policy.
func TestWatchTakesWhatHasSettled(t *testing.T) {
	dir := team(t, map[string]string{"data.yaml": granting})
	c := catalogue(t)
	synctest.Test(t, func(t *testing.T) {
		e, err := policy.Open(policy.Config{Dir: dir, Catalogue: c, Poll: time.Second, Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		go e.Watch(t.Context())
		first := e.Status().Revision
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		write(t, dir, "data.yaml", refusing)
		time.Sleep(time.Second)
		synctest.Wait()
		if e.Status().Revision != first {
			t.Error("a change is taken at the first look")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if e.Status().Revision == first {
			t.Error("a change is not taken at the second look")
		}
	})
}

func TestWrongSources(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"two data files", map[string]string{"data.yaml": "{}", "data.json": "{}"}, "data.json as well"},
		{"a duplicate key", map[string]string{"data.yaml": "tiers: {}\ntiers: {}\n"}, "already defined"},
		{"an unknown table", map[string]string{"data.yaml": "grant: {}\n"}, "grant"},
		{"package gateway", map[string]string{"g.rego": "package gateway\nimport rego.v2\nallowed if true\n"}, "package gateway"},
		{"a clock", map[string]string{"g.rego": "package policy.deny.x\nimport rego.v2\ndeny contains time.now_ns() if true\n"}, "undefined function time.now_ns"},
		{"the network", map[string]string{"g.rego": "package policy.deny.x\nimport rego.v2\ndeny contains http.send({}) if true\n"}, "undefined function http.send"},
		{"a misspelt field", map[string]string{"g.rego": "package policy.deny.x\nimport rego.v2\ndeny contains 1 if input.principal.suspendd\n"}, "undefined ref"},
		{"data over a rule", map[string]string{"data.yaml": "gateway: {allowed: true}\n"}, "gateway"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := policy.Open(policy.Config{Dir: team(t, tt.files), Catalogue: catalogue(t)})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want something of %q", err, tt.want)
			}
		})
	}
	if _, err := policy.Open(policy.Config{Dir: "/none", Catalogue: catalogue(t)}); err == nil {
		t.Error("a directory that is not there opens")
	}
}

func TestFilesThatAreNoPolicyAreLeftAlone(t *testing.T) {
	dir := team(t, map[string]string{
		"data.yaml": granting, "README.md": "no policy", "values.json": "{", ".hidden.rego": "nonsense", "x.rego.bak": "nonsense",
	})
	if s := open(t, policy.Config{Dir: dir}).Status(); s.Stale {
		t.Error(fmt.Sprint(s))
	}
}

// signed writes a directory as a signed archive.
func signed(t *testing.T, to, dir string, sequence int64, key string) {
	t.Helper()
	b, err := bundle.Read(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := bundle.Sign(b, sequence, "k1", bundle.Key{PEM: key, Algorithm: "EdDSA"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// An archive that was replaced does not come back, not even over a restart; a
// shadow may be of any age.
func TestAnOlderArchiveIsRefused(t *testing.T) {
	pub, priv, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	rawPriv, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	rawPub, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: rawPriv}))
	keys := bundle.Keys{"k1": {PEM: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: rawPub})), Algorithm: "EdDSA"}}
	dir := team(t, map[string]string{"data.yaml": "grants: {subjects: {agent_api: {transit: {mcp: {}}}}}"})
	place := t.TempDir()
	archive, lastGood := filepath.Join(place, "policy.tar.gz"), filepath.Join(place, "last-good.json")
	signed(t, archive, dir, 5, key)
	c := policy.Config{Dir: archive, Keys: keys, LastGood: lastGood, Shadow: dir}
	e := open(t, c)
	for _, step := range []struct {
		sequence int64
		refused  bool
	}{{4, true}, {5, false}, {6, false}, {5, true}} {
		signed(t, archive, dir, step.sequence, key)
		if err := e.Reload(t.Context()); (err != nil) != step.refused {
			t.Errorf("sequence %d: %v", step.sequence, err)
		}
	}
	again := open(t, c)
	if s := again.Status(); !s.Stale || !strings.Contains(s.LastError, "below 6") {
		t.Errorf("after a restart: %+v", s)
	}
	signed(t, archive, dir, 7, key)
	if err := again.Reload(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestAPolicyThatTakesTooLongIsRefused: it is said, and the next one is not kept waiting: it may
// take away what somebody must not have any more.
func TestAPolicyThatTakesTooLongIsRefused(t *testing.T) {
	dir := team(t, map[string]string{"data.yaml": granting})
	e := open(t, policy.Config{Dir: dir})
	policy.CheckWithin(e, time.Nanosecond)
	write(t, dir, "data.yaml", refusing)
	if err := e.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "longer than") || e.Status().LastError == "" {
		t.Errorf("got %v, and the status %+v", err, e.Status())
	}
	policy.CheckWithin(e, time.Hour)
	write(t, dir, "data.yaml", strings.Replace(refusing, "other", "another", 1))
	if err := e.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := e.Decide(t.Context(), bind(t, agent(t), "db.issue_creds", `{"role":"readonly"}`)); d.Allow || e.Status().LastError != "" {
		t.Errorf("got %+v, and the status %+v", d, e.Status())
	}
}
