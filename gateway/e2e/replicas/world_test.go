package replicas_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
)

// world is three replicas of one gateway.
type world struct {
	t        *testing.T
	vault    *stack.Vault
	redis    *stack.Redis
	env      []string
	replicas [3]*replica

	mu sync.Mutex // guards the address of a replica that is started again
}

// replica is one of them. Its directory outlives the process.
type replica struct {
	*stack.Gateway
	world *world
	dir   string
}

// start starts the servers and three gateways, whose policy has the given data.
func start(t *testing.T, data string, env ...string) *world {
	t.Helper()
	w := &world{t: t, vault: e2e.StartVault(t)}
	var err error
	if w.redis, err = stack.StartRedis(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.redis.Close() })
	policy := t.TempDir()
	if err := os.WriteFile(filepath.Join(policy, "data.yaml"), []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	w.env = append([]string{"POLICY_DIR=" + policy, "POLICY_TIMEOUT=5s", "REDIS_URL=" + w.redis.URL(), "ADMIN_ADDR=127.0.0.1:0"}, env...)
	for i := range w.replicas {
		w.replicas[i] = &replica{world: w, dir: t.TempDir()}
		w.replicas[i].start()
	}
	t.Cleanup(func() {
		for i, r := range w.replicas {
			_ = r.Stop()
			if t.Failed() {
				t.Logf("stderr of replica %d:\n%s", i, r.Output())
			}
		}
	})
	return w
}

// start starts the replica, again after it has ended.
func (r *replica) start() {
	r.world.t.Helper()
	root := e2e.Root(r.world.t)
	g, err := stack.StartGateway(context.WithoutCancel(r.world.t.Context()), stack.GatewayOptions{
		Root: root, Dir: r.dir, Env: append(stack.DevEnv(root, r.world.vault), r.world.env...),
	})
	if err != nil {
		r.world.t.Fatal(err)
	}
	r.world.mu.Lock()
	defer r.world.mu.Unlock()
	r.Gateway = g
}

// answer is a status and a body.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask sends a request with the development key; further headers are "Name: value".
func ask(t testing.TB, method, url, body string, headers ...string) answer {
	t.Helper()
	a, err := try(t.Context(), method, url, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func try(ctx context.Context, method, url, body string, headers ...string) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("X-API-Key", e2e.Key)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if value == "" {
			r.Header.Del(name)
			continue
		}
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(raw)}, err
}

// write writes a secret through a replica.
func (r *replica) write(path string, value any) answer {
	r.world.t.Helper()
	return ask(r.world.t, "PUT", r.URL+"/secrets/"+path, fmt.Sprintf(`{"data":{"v":%q}}`, fmt.Sprint(value)))
}
