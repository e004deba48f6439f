// Package hostile runs a gateway in which every misbehaving module is loaded, each
// for a caller of its own, so that it can be seen what an honest caller notices.
package hostile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"portcullis/gateway/e2e/stack"
	"portcullis/gateway/transform/abuse"
)

// Size is that of the secrets of the hostile callers: large enough that a module
// that runs out of fuel over one is called again and again, and not quarantined.
const Size = 12 << 10

// Gateway is the gateway and what is loaded in it.
type Gateway struct {
	*stack.Gateway
	// Modules are those that can be loaded. The caller of Modules[i] is Key(i).
	Modules []abuse.Module
	client  *http.Client
}

// honest is the key of the caller whose calls no module sees.
const honest = "dev-api-key"

// Key is the API key of the caller for whom a module is loaded.
func Key(i int) string { return fmt.Sprintf("hostile-caller-key-%03d", i) }

// Start writes the modules and a manifest into a directory, starts a gateway and
// stores a secret for each caller.
func Start(ctx context.Context, o stack.GatewayOptions, v *stack.Vault) (*Gateway, error) {
	// Enough connections are kept for calls that pile up.
	g := &Gateway{client: &http.Client{Transport: &http.Transport{MaxIdleConns: 256, MaxIdleConnsPerHost: 256}}}
	for _, m := range append(abuse.Modules(), abuse.Slow()...) {
		if m.Stage != abuse.Load {
			g.Modules = append(g.Modules, m)
		}
	}
	if err := g.write(o.Dir); err != nil {
		return nil, err
	}
	keys := map[string]string{honest: "agent_api"}
	for i := range g.Modules {
		keys[Key(i)] = subject(i)
	}
	text, err := json.Marshal(keys)
	if err != nil {
		return nil, err
	}
	// Everything shares the cores here, so a decision may have to wait for its turn.
	o.Env = append(append(stack.DevEnv(o.Root, v), "WASM_MANIFEST="+filepath.Join(o.Dir, "manifest.yaml"),
		"API_KEYS_JSON="+string(text), "RATE_LIMIT_ENABLED=false", "POLICY_TIMEOUT=2s"), o.Env...)
	if g.Gateway, err = stack.StartGateway(ctx, o); err != nil {
		return nil, err
	}
	return g, g.store(ctx)
}

func subject(i int) string { return fmt.Sprintf("hostile-%03d", i) }

func (g *Gateway) write(dir string) error {
	manifest := "apiVersion: portcullis.wasm/v1\nmodules:\n"
	for i, m := range g.Modules {
		file := subject(i) + ".wasm"
		if err := os.WriteFile(filepath.Join(dir, file), m.Bin, 0o600); err != nil {
			return err
		}
		manifest += fmt.Sprintf("  - {name: %s, file: %s, sha256: %x, abi: 1, hooks: [response], apply: mandatory, select: {operations: [kv.read], subjects: [%s]}}\n",
			subject(i), file, sha256.Sum256(m.Bin), subject(i))
	}
	return os.WriteFile(filepath.Join(dir, "manifest.yaml"), []byte(manifest), 0o600)
}

// store writes the secrets. The honest caller's is small.
func (g *Gateway) store(ctx context.Context) error {
	if err := g.put(ctx, honest, marker); err != nil {
		return err
	}
	for i := range g.Modules {
		if err := g.put(ctx, Key(i), strings.Repeat(subject(i), Size/len(subject(i)))); err != nil {
			return err
		}
	}
	return nil
}

func (g *Gateway) put(ctx context.Context, key, value string) error {
	status, body, err := g.send(ctx, key, http.MethodPut, `{"data":{"v":"`+value+`"}}`)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("write a secret: %d %s", status, body)
	}
	return err
}

// Call reads the secret of the caller for whom a module is loaded.
func (g *Gateway) Call(ctx context.Context, i int) (int, []byte, error) {
	return g.send(ctx, Key(i), http.MethodGet, "")
}

func (g *Gateway) send(ctx context.Context, key, method, body string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, g.URL+"/secrets/s", strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("X-API-Key", key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := g.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	var raw bytes.Buffer
	_, err = io.Copy(&raw, resp.Body)
	_ = resp.Body.Close() // read to its end
	return resp.StatusCode, raw.Bytes(), err
}
