package e2e_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
)

// oldLoad is how long TestOldLoad goes on; the service that this one replaces was
// used in that way for minutes: go test ./gateway/e2e -run OldLoad -old-load 5m.
var oldLoad = flag.Duration("old-load", 5*time.Second, "how long TestOldLoad makes 100 calls a second")

// TestOldLoad makes a hundred calls a second, of which the service before this one
// left a lease each, and counts the leases that Vault holds: no more than one a caller.
func TestOldLoad(t *testing.T) {
	const callers, perSecond = 20, 100
	v := e2e.StartVault(t)
	keys := map[string]string{}
	for n := range callers {
		keys[fmt.Sprintf("key-%d-0123456789abcdef0123456789", n)] = fmt.Sprintf("caller%d", n)
	}
	raw, err := json.Marshal(keys)
	if err != nil {
		t.Fatal(err)
	}
	g := e2e.StartGateway(t, v, "VAULT_TOKEN=", "VAULT_ROLE_ID="+v.RoleID, "VAULT_SECRET_ID="+v.SecretID,
		"CHILD_TOKEN_ENABLED=true", "CHILD_TOKEN_TTL=90s", "RATE_LIMIT_ENABLED=false", "POLICY_TIMEOUT=10s", "LOG_LEVEL=error", "API_KEYS_JSON="+string(raw))
	tick := time.NewTicker(time.Second / perSecond)
	defer tick.Stop()
	var wg sync.WaitGroup
	calls := int(*oldLoad / (time.Second / perSecond))
	for n := range calls {
		<-tick.C
		if n == callers {
			wg.Wait() // each has written what it reads from now on
		}
		wg.Go(func() { oldCall(t, g, n, callers) })
	}
	wg.Wait()
	leases := map[string]int{}
	countLeases(t, v, "", leases)
	all := 0
	for _, n := range leases {
		all += n
	}
	if tokens := serviceTokens(t, v); all > callers+2 || leases["auth/approle/login/"] != 1 || tokens > callers+3 {
		t.Errorf("Vault holds %d leases after %d calls of %d callers (%v), and %d service tokens", all, calls, callers, leases, tokens)
	}
	t.Logf("%d calls, %d callers: leases %v", calls, callers, leases)
}

// oldCall is one call of a caller: it writes, then reads, its own secret.
func oldCall(t *testing.T, g *stack.Gateway, n, callers int) {
	method, body := http.MethodGet, ""
	if n < callers || n%10 == 0 {
		method, body = http.MethodPut, `{"data":{"a":"1"}}`
	}
	req, err := http.NewRequestWithContext(t.Context(), method, g.URL+"/secrets/app", strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return
	}
	req.Header.Set("X-API-Key", fmt.Sprintf("key-%d-0123456789abcdef0123456789", n%callers))
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("call %d: %d", n, resp.StatusCode)
	}
}

// countLeases counts what Vault says that it holds (sys/leases/lookup, Vault API).
func countLeases(t *testing.T, v *stack.Vault, prefix string, by map[string]int) {
	t.Helper()
	for _, k := range vaultList(t, v, "sys/leases/lookup/"+prefix) {
		if strings.HasSuffix(k, "/") {
			countLeases(t, v, prefix+k, by)
			continue
		}
		by[prefix]++
	}
}

func vaultList(t *testing.T, v *stack.Vault, path string) []string {
	t.Helper()
	var reply struct {
		Data struct {
			Keys []string `json:"keys"`
		} `json:"data"`
	}
	askVault(t, v, "LIST", path, &reply)
	return reply.Data.Keys
}

// serviceTokens is how many tokens Vault has stored (sys/internal/counters/tokens).
func serviceTokens(t *testing.T, v *stack.Vault) int {
	t.Helper()
	var reply struct {
		Data struct {
			Counters struct {
				Tokens struct {
					Total int `json:"total"`
				} `json:"service_tokens"`
			} `json:"counters"`
		} `json:"data"`
	}
	askVault(t, v, http.MethodGet, "sys/internal/counters/tokens", &reply)
	return reply.Data.Counters.Tokens.Total
}

func askVault(t *testing.T, v *stack.Vault, method, path string, out any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, v.Addr+"/v1/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", v.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusNotFound {
		if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
}
