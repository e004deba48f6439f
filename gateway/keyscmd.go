package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"portcullis/gateway/auth/apikey"
	"portcullis/gateway/auth/deny"
	"portcullis/gateway/files"
)

type keysCmd struct {
	New keysNewCmd `cmd:"" help:"Make an API key, keep its hash and print it once, alone on standard output."`
}

// Help is the end of the command's help.
func (keysCmd) Help() string {
	return examples("portcullis keys new --file keys.yaml --subject billing-bot")
}

type keysNewCmd struct {
	File    string        `help:"Keys file to add the hash to (API_KEYS_FILE); without it the entry is printed to standard error." type:"path" env:"API_KEYS_FILE" placeholder:"FILE"`
	Subject string        `required:"" help:"Who calls with the key."`
	ID      string        `help:"Name of the key in logs, metrics and the deny list; the subject when absent." placeholder:"ID"`
	Kind    string        `help:"agent, human or service." enum:"agent,human,service" default:"agent"`
	Tenant  string        `help:"Tenant of the subject."`
	Scope   []string      `help:"Scopes: read, write, delete, list, which are those when absent; those of the administrators' listener." enum:"read,write,delete,list,admin:metrics,admin:pprof,admin:policy,admin:leases,admin:revoke,admin:log,admin:evidence,policy:explain"`
	Role    []string      `help:"Roles, for the policy."`
	Prefix  string        `help:"Full path in the KV mount; the subject's own when absent."`
	Tier    string        `help:"Rate tier to ask for."`
	Expires time.Duration `help:"How long the key works, for example 720h; for ever when absent."`
}

// Help is the end of the command's help.
func (keysNewCmd) Help() string {
	return "The gateway reads the file again when it changes.\n\n" + examples(
		"portcullis keys new --file keys.yaml --subject billing-bot",
		"portcullis keys new --file keys.yaml --subject ci --scope read --scope list --expires 720h",
		"portcullis keys new --file keys.yaml --subject ci > ci.key",
	)
}

// Run makes the key.
func (k keysNewCmd) Run() error {
	e := apikey.Entry{
		ID: k.ID, Subject: k.Subject, Kind: k.Kind, Tenant: k.Tenant, Scopes: k.Scope, Roles: k.Role,
		Prefix: k.Prefix, Tier: k.Tier,
	}
	if k.Expires > 0 {
		e.Expires = time.Now().UTC().Add(k.Expires).Truncate(time.Second)
	}
	return apikey.Mint(os.Stdout, os.Stderr, k.File, e)
}

type revokeCmd struct {
	URL        string        `help:"Address of the administrators' listener of a running gateway (ADMIN_ADDR): all its replicas refuse from then on." placeholder:"URL"`
	KeyFile    string        `name:"api-key-file" help:"With --url: file with an API key that has the scope admin:revoke." type:"path" placeholder:"FILE"`
	File       string        `name:"deny-list" help:"Deny list to write (DENY_LIST_FILE)." type:"path" env:"DENY_LIST_FILE" placeholder:"FILE"`
	Subject    string        `help:"Everybody of this name, as whoami says it: subject or raw_subject."`
	Tenant     string        `help:"Narrows --subject to one tenant."`
	KeyID      string        `help:"An API key's id, or the kid of a signing key."`
	TokenID    string        `help:"A token's jti."`
	CertSerial string        `help:"A certificate's serial number in hex."`
	For        time.Duration `help:"How long, for example 24h; for ever when absent."`
	Reason     string        `help:"Why, for people."`
}

// Help is the end of the command's help.
func (revokeCmd) Help() string {
	return "Gateways that watch the list refuse from the next call on and close open streams.\n\n" + examples(
		"portcullis revoke --url http://127.0.0.1:9089 --api-key-file admin.key --subject billing-bot --reason 'laptop lost'",
		"portcullis revoke --deny-list deny.jsonl --subject billing-bot --reason 'laptop lost'",
		"DENY_LIST_FILE=deny.jsonl portcullis revoke --cert-serial 4f:2a:91",
	)
}

// Run writes the entry.
func (r revokeCmd) Run() error {
	e := deny.Entry{
		Subject: r.Subject, Tenant: r.Tenant, KeyID: r.KeyID, TokenID: r.TokenID, Serial: r.CertSerial, Reason: r.Reason,
	}
	if r.For > 0 {
		e.Until = time.Now().UTC().Add(r.For)
	}
	if r.URL != "" {
		return r.remote(e)
	}
	return deny.Revoke(os.Stdout, r.File, e)
}

// revokeTimeout bounds the asking of a gateway, which asks Vault.
const revokeTimeout = 30 * time.Second

// remote has a running gateway revoke, for all replicas and in Vault.
func (r revokeCmd) remote(e deny.Entry) error {
	if r.KeyID != "" || r.TokenID != "" || r.CertSerial != "" || r.Subject == "" {
		return usageError{errors.New("--url: takes --subject, with --tenant, --for and --reason; keys, tokens and certificates are revoked with --deny-list")}
	}
	key, err := files.Input(r.KeyFile)
	if err != nil {
		return usageError{fmt.Errorf("--api-key-file: %w", err)}
	}
	body, err := json.Marshal(struct {
		Subject string    `json:"subject"`
		Tenant  string    `json:"tenant"`
		Until   time.Time `json:"until,omitzero"`
		Reason  string    `json:"reason"`
	}{e.Subject, e.Tenant, e.Until, e.Reason})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), revokeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(r.URL, "/")+"/revoke", bytes.NewReader(body))
	if err != nil {
		return usageError{errors.New("--url: not an http or https URL")}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-API-Key", strings.TrimSpace(string(key)))
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }} // the key goes nowhere else
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the gateway answers %s: %s", resp.Status, answer)
	}
	fmt.Fprintf(screen(), "revoked: %s; every replica refuses within a second and closes open streams\n", answer)
	return nil
}
