package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"portcullis/gateway/e2e/stack"
)

// ownToken returns the header with a token of the caller's in Vault, of the kind and with
// the policy that a gateway's has: Vault works out the rights of a request's token each
// time, which root, who may do everything, would spare it. A call makes the gateway write
// that policy.
func (s *set) ownToken(ctx context.Context, g *stack.Gateway) (string, error) {
	if s.own != "" {
		return s.own, nil
	}
	if _, err := send(ctx, http.MethodGet, g.URL+"/secrets", "Authorization: Bearer "+s.token, ""); err != nil {
		return "", err
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
