package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"portcullis/gateway/e2e/stack"
)

// ownToken returns the header with a token of the caller's in Vault, of the kind that a
// gateway's has: Vault works out the rights of a request's token each time, which root, who
// may do everything, would spare it. Whoever calls Vault itself has one token for all that
// it does, so that this one has all the caller's rights; a gateway's has those of one engine.
func (s *set) ownToken(ctx context.Context) (string, error) {
	if s.own != "" {
		return s.own, nil
	}
	apply := exec.CommandContext(ctx, filepath.Join(s.root, "bin", "portcullis"), "vault-policy", subject, "--apply")
	apply.Env = append(os.Environ(), append(stack.DevEnv(s.root, s.vault), "POLICY_DIR="+filepath.Join(s.dir, "policy"))...)
	if out, err := apply.CombinedOutput(); err != nil {
		return "", fmt.Errorf("write the caller's policy: %w: %s", err, out)
	}
	raw, err := send(ctx, http.MethodPost, s.vault.Addr+"/v1/auth/token/create", "X-Vault-Token: "+s.vault.Token,
		`{"policies":["mcp-agent-`+subject+`"],"no_default_policy":true,"type":"batch","ttl":"24h"}`)
	if err != nil {
		return "", err
	}
	var made struct {
		Auth struct {
			Token string `json:"client_token"`
		}
	}
	if json.Unmarshal(raw, &made) != nil || made.Auth.Token == "" {
		return "", errors.New("vault made no token for the caller")
	}
	s.own = "X-Vault-Token: " + made.Auth.Token
	return s.own, nil
}

// send sends one request with a header, and returns the answer's body.
func send(ctx context.Context, method, url, header, body string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	name, value, _ := strings.Cut(header, ": ")
	r.Header.Set(name, value)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode >= 300 && resp.StatusCode != http.StatusNotFound {
		err = fmt.Errorf("%s %s: status %d: %.200s", method, url, resp.StatusCode, raw)
	}
	return raw, err
}
