package soak

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"portcullis/gateway/retry"
)

// settle is how long calls may fail after one has succeeded again: the others are on
// their way, or have been told that Vault is away.
const settle = 2 * time.Second

// writePolicy writes data that differ from one round to the next.
func (r *run) writePolicy(n int) error {
	data := fmt.Sprintf("grants:\n  subjects:\n    nobody-%d: {transit: {mcp: {}}}\n", n)
	for _, subject := range callers {
		data += "    " + subject + ": {transit: {mcp: {}}}\n"
	}
	return os.WriteFile(filepath.Join(r.Dir, "policy", "data.yaml"), []byte(data), 0o600)
}

// reload loads another policy. No call may notice.
func (r *run) reload(_ context.Context, n int) error {
	return errors.Join(r.writePolicy(n+1), r.gateway.Signal(syscall.SIGHUP))
}

// rotate moves evidence and logs away and asks for new files. No call may notice.
func (r *run) rotate(_ context.Context, n int) error {
	for _, name := range []string{"audit.jsonl", "requests.log", "responses.log", "server.log"} {
		file := filepath.Join(r.gateway.LogDir, name)
		err := os.Rename(file, fmt.Sprintf("%s.%d", file, n%3)) // three are kept
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return r.gateway.Signal(syscall.SIGHUP)
}

// revoke revokes every token in Vault but root's: the gateway's own, and with it those of
// the callers.
func (r *run) revoke(ctx context.Context, _ int) error {
	return r.fault(ctx, func() error {
		var list struct {
			Data struct {
				Keys []string `json:"keys"`
			} `json:"data"`
		}
		if err := r.ask(ctx, "LIST", "auth/token/accessors", nil, &list); err != nil {
			return err
		}
		for _, a := range list.Data.Keys {
			var of struct {
				Data struct {
					Policies []string `json:"policies"`
				} `json:"data"`
			}
			id := map[string]string{"accessor": a}
			if err := r.ask(ctx, http.MethodPost, "auth/token/lookup-accessor", id, &of); err != nil || len(of.Data.Policies) == 1 && of.Data.Policies[0] == "root" {
				continue // it has gone, or is root's
			}
			if err := r.ask(ctx, http.MethodPost, "auth/token/revoke-accessor", id, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

// restart kills Vault and starts it again.
func (r *run) restart(ctx context.Context, _ int) error {
	return r.fault(ctx, func() error { return errors.Join(r.vault.Kill(), r.vault.Restart(ctx)) })
}

// fault does something for which calls may fail until one succeeds again.
func (r *run) fault(ctx context.Context, do func() error) error {
	s := span{from: time.Now()}
	if err := do(); err != nil {
		return err
	}
	for key := range callers {
		for {
			f := r.send(ctx, call{key: key, method: http.MethodPut, path: "/secrets/soak/probe", body: `{"data":{"v":"obviously-fake"}}`})
			if f == nil {
				break
			}
			if ctx.Err() != nil || time.Since(s.from) > time.Minute {
				return fmt.Errorf("calls fail a minute after what was done: %s", f.what)
			}
			retry.Sleep(ctx, 100*time.Millisecond)
		}
	}
	s.to = time.Now().Add(settle)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, s)
	return nil
}

// ask asks Vault with root's token.
func (r *run) ask(ctx context.Context, method, path string, body, into any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, r.vault.Addr+"/v1/"+path, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	req.Header.Set("X-Vault-Token", r.vault.Token)
	resp, err := r.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("vault %s %s: status %d", method, path, resp.StatusCode)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(into)
}
