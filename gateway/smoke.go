package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

type smokeCmd struct {
	URL    string `required:"" help:"Address of a running gateway." placeholder:"http://127.0.0.1:8089"`
	APIKey string `name:"api-key" env:"API_KEY" help:"API key to call with."`
	Bearer string `name:"bearer" env:"BEARER_TOKEN" help:"Bearer token to call with."`
}

// Help is the end of the command's help.
func (smokeCmd) Help() string {
	return "Writes, reads, lists and deletes a secret named portcullis-smoke over REST, then over MCP.\n\n" + examples(
		"portcullis smoke --url http://127.0.0.1:8089 --api-key dev-api-key",
		"BEARER_TOKEN=... portcullis smoke --url https://vault-gate.example",
	)
}

// Run drives the gateway and fails at the first answer that is not as expected.
func (s smokeCmd) Run() error {
	if (s.APIKey == "") == (s.Bearer == "") {
		return usageError{errors.New("smoke: give either --api-key or --bearer")}
	}
	d := driver{smokeCmd: s, client: &http.Client{Timeout: 15 * time.Second}}
	for _, step := range []func(context.Context) error{d.probes, d.rest, d.mcp} {
		if err := step(context.Background()); err != nil {
			return err
		}
	}
	_, err := fmt.Println("smoke: all passed")
	return err
}

type driver struct {
	smokeCmd
	client *http.Client
}

func (d driver) probes(ctx context.Context) error {
	for _, p := range []string{"/livez", "/healthz", "/readyz"} {
		if _, err := d.send(ctx, exchange{"GET", p, "", 200}); err != nil {
			return err
		}
	}
	return nil
}

const smokeSecret = "portcullis-smoke"

func (d driver) rest(ctx context.Context) error {
	value := fmt.Sprint(time.Now().UnixNano())
	steps := []exchange{
		{"GET", "/whoami", "", 200},
		{"PUT", "/secrets/" + smokeSecret, `{"data":{"v":"` + value + `"}}`, 200},
		{"GET", "/secrets/" + smokeSecret, "", 200},
		{"GET", "/secrets?prefix=", "", 200},
		{"DELETE", "/secrets/" + smokeSecret, "", 204},
		{"GET", "/secrets/" + smokeSecret, "", 404},
	}
	for i, x := range steps {
		body, err := d.send(ctx, x)
		if err != nil {
			return err
		}
		if want := []string{"", `"version"`, value, smokeSecret, "", "deleted"}[i]; !strings.Contains(string(body), want) {
			return fmt.Errorf("smoke: %s %s answered without the expected content", x.method, x.path)
		}
	}
	return nil
}

func (d driver) mcp(ctx context.Context) error {
	value := fmt.Sprint(time.Now().UnixNano())
	tools := []struct{ name, args, want string }{
		{"kv.write", `{"path":"` + smokeSecret + `","data":{"v":"` + value + `"}}`, `"version"`},
		{"kv.read", `{"path":"` + smokeSecret + `"}`, value},
		{"kv.list", `{}`, smokeSecret},
		{"kv.delete", `{"path":"` + smokeSecret + `"}`, `"ok"`},
	}
	if _, err := d.rpc(ctx, "tools/list", `{}`); err != nil {
		return err
	}
	for _, t := range tools {
		body, err := d.rpc(ctx, "tools/call", `{"name":"`+t.name+`","arguments":`+t.args+`}`)
		if err != nil {
			return err
		}
		if !bytes.Contains(body, []byte(t.want)) {
			return fmt.Errorf("smoke: tool %s answered without the expected content", t.name)
		}
	}
	return nil
}

// rpc does one JSON-RPC call at /mcp/rpc and fails on an error of any kind.
func (d driver) rpc(ctx context.Context, method, params string) ([]byte, error) {
	body := `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":` + params + `}`
	raw, err := d.send(ctx, exchange{"POST", "/mcp/rpc", body, 200})
	if err != nil {
		return nil, err
	}
	var reply struct {
		Error  *struct{ Message string } `json:"error"`
		Result struct {
			IsError bool `json:"isError"`
		} `json:"result"`
	}
	if err := json.Unmarshal(raw, &reply); err != nil || reply.Error != nil || reply.Result.IsError {
		return nil, fmt.Errorf("smoke: MCP %s failed: %s", method, clip(raw))
	}
	return raw, nil
}

// exchange is one request and the status that it must have.
type exchange struct {
	method, path, body string
	status             int
}

func (d driver) send(ctx context.Context, x exchange) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, x.method, strings.TrimSuffix(d.URL, "/")+x.path, strings.NewReader(x.body))
	if err != nil {
		return nil, usageError{err}
	}
	if x.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if d.APIKey != "" {
		req.Header.Set("X-API-Key", d.APIKey)
	} else {
		req.Header.Set("Authorization", "Bearer "+d.Bearer)
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("smoke: %s %s: %w", x.method, x.path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("smoke: %s %s: %w", x.method, x.path, err)
	}
	fmt.Printf("%-6s %-28s %d\n", x.method, x.path, resp.StatusCode)
	if resp.StatusCode != x.status {
		return nil, fmt.Errorf("smoke: %s %s answered %d, not %d: %s", x.method, x.path, resp.StatusCode, x.status, clip(raw))
	}
	return raw, nil
}

func clip(b []byte) string {
	if len(b) > 300 {
		b = b[:300]
	}
	return string(b)
}
