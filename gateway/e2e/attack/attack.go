// Package attack drives one honest caller through a real gateway while somebody else
// does to it what outsiders have tried: it tells what the honest caller, the probes,
// the evidence and the machine notice of it. Every attack is bounded in count and
// time, and goes to loopback alone.
package attack

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"portcullis/gateway/auth/authtest"
	"portcullis/gateway/e2e/stack"
)

// Keys and subjects. The honest caller has a tier of its own, because it makes 100
// calls a second; whoever attacks has the standard tier and no grant.
const (
	honestKey      = "honest-caller-key-0000000001"
	hostileKey     = "hostile-caller-key-000000001"
	honestSubject  = "honest"
	hostileSubject = "hostile"
)

// Attack is one way to hurt others.
type Attack struct {
	Name string
	// Run attacks until ctx ends. It returns how many requests it made. Its requests
	// may fail: that is the gateway's good right.
	Run func(ctx context.Context, t *Target) int
	// TLS says that the gateway speaks TLS, and that the attack is on that.
	TLS bool
	// Garbage is what the collector may not have collected yet of an attack that makes
	// the gateway read megabytes, in bytes beyond the bound of the others.
	Garbage int
}

// Target is the gateway that is attacked.
type Target struct {
	*stack.Gateway
	Addr   string // host:port
	client *http.Client
}

// Start starts a gateway with an honest and a hostile caller, for an attack.
func Start(ctx context.Context, o stack.GatewayOptions, v *stack.Vault, a Attack) (*Target, error) {
	data := `tiers:
  honest: {requests: 1000000, window_s: 60, burst: 10000, streams: 16, concurrent: 512}
grants:
  subjects:
    ` + honestSubject + `:
      tier: honest
      transit: {signing: {}, mcp: {}}
`
	dir := filepath.Join(o.Dir, "policy")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "data.yaml"), []byte(data), 0o600); err != nil {
		return nil, err
	}
	keys := fmt.Sprintf(`API_KEYS_JSON={%q:%q,%q:%q}`, honestKey, honestSubject, hostileKey, hostileSubject)
	// The machine is shared with the attacker, so a decision may have to wait for it.
	o.Env = append(append(stack.DevEnv(o.Root, v), keys, "POLICY_DIR="+dir, "POLICY_TIMEOUT=2s"), o.Env...)
	if a.TLS {
		if err := secure(&o); err != nil {
			return nil, err
		}
	}
	g, err := stack.StartGateway(ctx, o)
	if err != nil {
		return nil, err
	}
	if a.TLS {
		g.URL = "https://" + addrOf(g.URL)
	}
	t := target(g)
	return t, t.prepare(ctx)
}

// At is a target that another process has started, for an attacker with a process of
// its own: what it does costs the honest caller's process nothing. url is the Gateway's.
func At(url string) *Target { return target(&stack.Gateway{URL: url}) }

func target(g *stack.Gateway) *Target {
	return &Target{
		Gateway: g, Addr: addrOf(g.URL),
		client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
			MaxIdleConns: 256, MaxIdleConnsPerHost: 256, TLSClientConfig: anyServer(),
		}},
	}
}

// anyServer trusts whoever answers: everything is on loopback.
func anyServer() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

func addrOf(url string) string {
	return strings.TrimPrefix(strings.TrimPrefix(url, "https://"), "http://")
}

// secure lets a gateway speak TLS.
func secure(o *stack.GatewayOptions) error {
	chain, key := authtest.NewCA("server").Server().PEM()
	at := filepath.Join(o.Dir, "server.pem")
	o.Env = append(o.Env, "TLS_CERT_FILE="+at, "TLS_KEY_FILE="+at)
	return os.WriteFile(at, append(chain, key...), 0o600)
}

// prepare stores what is read later.
func (t *Target) prepare(ctx context.Context) error {
	for key, size := range map[string]int{honestKey: 64, hostileKey: 900_000} {
		status, body, err := t.send(ctx, request{key: key, method: http.MethodPut, path: "/secrets/s", body: `{"data":{"v":"` + strings.Repeat("x", size) + `"}}`})
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("store a secret: %d %s", status, body)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// All are the attacks.
func All() []Attack { return append(calls(), connections()...) }

// Everything is all of them at once, but for those on TLS.
func Everything() Attack {
	return Attack{Name: "everything at once", Run: func(ctx context.Context, t *Target) int {
		all := slices.DeleteFunc(All(), func(a Attack) bool { return a.TLS })
		counts := make([]int, len(all))
		var wg sync.WaitGroup
		for i, a := range all {
			wg.Go(func() { counts[i] = a.Run(ctx, t) })
		}
		wg.Wait()
		return sum(counts)
	}}
}
