package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/gateway/audit"
	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
	"portcullis/gateway/retry"
	"portcullis/gateway/vault/vaulttest"
)

// attempt is what is known of one mutation, by its decision id.
type attempt struct {
	answered string // code of the answer, "ok" for success
	intents  int    // in the gateway's evidence
	outcomes []string
	arrived  int // in Vault's audit log
}

// TestEveryMutationIsAccountedFor sends ten thousand mutations while connections
// are cut, requests stop halfway and replies are truncated, delayed and lost a hundred times, and while
// Vault is killed and started again. Then it lays side by side what callers were
// told, what the gateway has recorded and what Vault has recorded.
func TestEveryMutationIsAccountedFor(t *testing.T) {
	const mutations, every, workers = 10_000, 100, 8
	v := e2e.StartVault(t, "--data", t.TempDir())
	p := vaulttest.StartProxy(t, v.Addr)
	g := e2e.StartGateway(t, v, "VAULT_ADDR="+p.Addr, "VAULT_TOKEN=", "VAULT_ROLE_ID="+v.RoleID, "VAULT_SECRET_ID="+v.SecretID,
		"CHILD_TOKEN_ENABLED=true", "RATE_LIMIT_ENABLED=false", "VAULT_TIMEOUT=2s", "POLICY_TIMEOUT=10s", "LOG_LEVEL=error")
	found := &ledger{byID: map[string]*attempt{}}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for n := int(next.Add(1)) - 1; n < mutations; n = int(next.Add(1)) - 1 {
				if n%every == every/2 {
					breakSomething(t, v, p, n/every)
				}
				found.send(t, g, n)
			}
		})
	}
	wg.Wait()
	for _, file := range g.AuditFiles() {
		found.readEvidence(t, file)
	}
	found.readVault(t, v.AuditFile)
	found.check(t, mutations)
}

// breakSomething is a fault in the network, and at two moments the end of Vault.
func breakSomething(t *testing.T, v *stack.Vault, p *vaulttest.Proxy, n int) {
	if n == 33 || n == 66 {
		if err := v.Kill(); err != nil {
			t.Error(err)
		}
		if err := v.Restart(t.Context()); err != nil {
			t.Error(err)
		}
		return
	}
	f := []vaulttest.Fault{
		{Cut: true},
		{Cut: true, Bytes: 200},
		{Refuse: true},
		{Delay: 20 * time.Millisecond},
		{Delay: 2500 * time.Millisecond},
		{In: 60},
		{In: 1 << 20},
	}[n%7]
	f.Match, f.Times = "PUT /v1/secret/", 1
	p.Break(f)
}

// ledger gathers what is known, by decision id.
type ledger struct {
	mu   sync.Mutex // guards byID
	byID map[string]*attempt
}

func (l *ledger) of(id string) *attempt {
	if l.byID[id] == nil {
		l.byID[id] = &attempt{}
	}
	return l.byID[id]
}

// send sends one mutation and keeps what it is answered with.
func (l *ledger) send(t *testing.T, g *stack.Gateway, n int) {
	resp, raw := e2e.Do(t, http.MethodPut, fmt.Sprintf("%s/secrets/m/%d", g.URL, n), fmt.Sprintf(`{"data":{"n":%d}}`, n))
	id, code := resp.Header.Get("X-Decision-Id"), "ok"
	if resp.StatusCode != http.StatusOK {
		var body struct {
			Error struct {
				Code       string `json:"code"`
				DecisionID string `json:"decision_id"`
			} `json:"error"`
		}
		if err := json.Unmarshal(raw, &body); err != nil {
			t.Errorf("mutation %d: %d %s", n, resp.StatusCode, raw)
		}
		id, code = body.Error.DecisionID, body.Error.Code
	}
	l.mu.Lock()
	l.of(id).answered = code
	l.mu.Unlock()
	if resp.StatusCode == http.StatusServiceUnavailable {
		retry.Sleep(t.Context(), 50*time.Millisecond) // who is told to come back later does
	}
}

func (l *ledger) readEvidence(t *testing.T, file string) {
	t.Helper()
	for line := range lines(t, file) {
		var r struct {
			Type string `json:"type"`
			ID   string `json:"decision_id"`
			Code string `json:"code"`
		}
		if err := json.Unmarshal(line, &r); err != nil {
			t.Errorf("evidence: %v", err)
		}
		switch r.Type {
		case "intent":
			l.of(r.ID).intents++
		case "outcome":
			l.of(r.ID).outcomes = append(l.of(r.ID).outcomes, r.Code)
		}
	}
}

func (l *ledger) readVault(t *testing.T, file string) {
	t.Helper()
	for line := range lines(t, file) {
		var e struct {
			Type    string `json:"type"`
			Request struct {
				Operation string              `json:"operation"`
				Headers   map[string][]string `json:"headers"`
			} `json:"request"`
		}
		if json.Unmarshal(line, &e) != nil { // the line that Vault was killed at
			continue
		}
		if ids := e.Request.Headers["x-correlation-id"]; e.Type == "request" && len(ids) == 1 && !strings.HasPrefix(ids[0], "upkeep-") {
			l.of(ids[0]).arrived++
		}
	}
}

// check compares. What was answered with success has happened once, what was
// refused has not happened, and only outcome_unknown leaves it open.
func (l *ledger) check(t *testing.T, mutations int) {
	t.Helper()
	codes := map[string]int{}
	for id, a := range l.byID {
		codes[a.answered]++
		if a.answered == "" || a.intents != 1 || len(a.outcomes) != 1 || a.outcomes[0] != a.answered {
			t.Errorf("%s: answered %q; the gateway recorded %d intents and outcomes %q", id, a.answered, a.intents, a.outcomes)
		}
		happened := map[string][]int{"ok": {1}, "vault_unavailable": {0}, "overloaded": {0}, "vault_timeout": {0}, "outcome_unknown": {0, 1}}[a.answered]
		if !slices.Contains(happened, a.arrived) {
			t.Errorf("%s: answered %q, %d in Vault's audit log", id, a.answered, a.arrived)
		}
	}
	if len(l.byID) != mutations || codes["ok"] < mutations/2 || codes["outcome_unknown"] == 0 || codes["vault_unavailable"] == 0 {
		t.Errorf("%d mutations, answers %v", len(l.byID), codes)
	}
	t.Logf("answers: %v", codes)
}

// lines reads a file line by line, one of evidence that is compressed as well.
func lines(t *testing.T, file string) func(func([]byte) bool) {
	t.Helper()
	return func(yield func([]byte) bool) {
		f, err := audit.OpenSegment(file)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		s := bufio.NewScanner(f)
		s.Buffer(nil, 1<<20)
		for s.Scan() {
			if !yield(s.Bytes()) {
				return
			}
		}
		if err := s.Err(); err != nil {
			t.Error(err)
		}
	}
}
