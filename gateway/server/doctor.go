package server

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/config"
	"portcullis/gateway/files"
	"portcullis/gateway/vault"
)

// Finding is what one check of an installation has found.
type Finding struct {
	Check  string `json:"check"`
	State  string `json:"state"` // ok, warning or failed
	Detail string `json:"detail"`
	Do     string `json:"do,omitempty"` // what to do about it
}

// The states of a finding.
const (
	fine    = "ok"
	warning = "warning"
	failed  = "failed"
)

// checkTimeout bounds each check that asks somebody else.
const checkTimeout = 10 * time.Second

// Doctor checks what a gateway with this configuration needs, and the running one. It
// changes nothing; the order is that in which things depend on each other.
func Doctor(ctx context.Context, c config.Config) (out []Finding) {
	for _, check := range []func(context.Context, config.Config) []Finding{
		dangerous, vaultServer, vaultIdentity, tokenRoles, firmPlace, sharedStore, certificateFiles, privateFiles, directories, sinkReceivers, running,
	} {
		ctx, cancel := context.WithTimeout(ctx, checkTimeout)
		out = append(out, check(ctx, c)...)
		cancel()
	}
	return out
}

// vaultServer asks whether Vault is there and unsealed (sys/health, Vault API), and
// compares its clock with this machine's.
func vaultServer(ctx context.Context, c config.Config) []Finding {
	client := &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: vaultTLS(c)},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // Vault has none for it
	}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.VaultAddr, "/")+"/v1/sys/health?standbyok=true&perfstandbyok=true", nil)
	if err != nil {
		return []Finding{{"vault", failed, "VAULT_ADDR is not an address", "correct VAULT_ADDR"}}
	}
	start := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return []Finding{{"vault", failed, "Vault cannot be reached: " + err.Error(), "check that Vault runs, VAULT_ADDR, and VAULT_CACERT when it is a certificate"}}
	}
	defer func() { _ = resp.Body.Close() }()
	return []Finding{condition(resp), clock(resp.Header.Get("Date"), start)}
}

// condition is what an answer to sys/health says of Vault. A page of whatever stands before it
// has a status as well.
func condition(resp *http.Response) Finding {
	var said struct {
		Initialized bool `json:"initialized"`
		Sealed      bool `json:"sealed"`
	}
	err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&said)
	switch {
	case resp.StatusCode == http.StatusServiceUnavailable && err == nil && said.Sealed:
		return Finding{"vault", failed, "Vault is sealed", "unseal it (vault operator unseal)"}
	case resp.StatusCode == http.StatusNotImplemented:
		return Finding{"vault", failed, "Vault is not initialized", "initialize it (vault operator init)"}
	case resp.StatusCode != http.StatusOK:
		return Finding{"vault", failed, fmt.Sprintf("Vault answers %d to sys/health", resp.StatusCode), "look at Vault's own log"}
	case err != nil || !said.Initialized || said.Sealed:
		return Finding{"vault", failed, "what answers at VAULT_ADDR is no Vault", "correct VAULT_ADDR, or what stands before Vault"}
	}
	return Finding{"vault", fine, "reachable, unsealed", ""}
}

// maxSkew is how far clocks may differ before tokens are refused for it.
const maxSkew = 30 * time.Second

func clock(date string, start time.Time) Finding {
	there, err := http.ParseTime(date)
	if err != nil {
		return Finding{"clock", warning, "Vault does not say what time it is", "compare the clocks yourself"}
	}
	skew := there.Sub(start).Round(time.Second)
	if skew.Abs() > maxSkew {
		return Finding{"clock", failed, fmt.Sprintf("Vault's clock differs by %s from this machine's", skew), "set the clocks (chrony, ntpd): tokens are refused, and leases end early or late"}
	}
	return Finding{"clock", fine, fmt.Sprintf("differs by %s from Vault's", skew.Abs()), ""}
}

// vaultTLS trusts whom the gateway trusts. What is wrong with the file is a finding of its own.
func vaultTLS(c config.Config) *tls.Config {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.VaultServerName, InsecureSkipVerify: c.VaultSkipVerify} //nolint:gosec // the operator's own setting, which is warned of
	conf.RootCAs, _ = files.CertPool(c.VaultCACert)
	return conf
}

// vaultIdentity asks whether Vault takes the gateway's credential and has the engines.
func vaultIdentity(ctx context.Context, c config.Config) (out []Finding) {
	found, err := CheckVault(ctx, c)
	switch {
	case err != nil:
		out = append(out, Finding{"vault identity", failed, err.Error(), "correct the credential, its policy or the mounts; gateway/docs/vault-side.md has what the gateway needs"})
	case found.Unchecked != "":
		out = append(out, Finding{"vault identity", warning, found.Unchecked, "mend what is wrong with Vault first, or look at a running gateway's /readyz"})
	default:
		out = append(out, Finding{"vault identity", fine, "Vault takes the gateway's credential", ""})
	}
	switch {
	case c.AuditSignTransit == "" || err != nil || found.Unchecked != "":
	case found.Unsigned != "":
		out = append(out, Finding{"signing key", failed, found.Unsigned, "do as it says: until then evidence is written and no checkpoint is signed; gateway/docs/evidence.md has the policy"})
	default:
		out = append(out, Finding{"signing key", fine, c.AuditSignTransit + " can sign checkpoints", ""})
	}
	if found.RootToken {
		out = append(out, dangerFinding(config.DangerOf(config.RootToken, "VAULT_TOKEN")))
	}
	for _, w := range found.Warnings {
		out = append(out, Finding{"vault engines", warning, w, "enable the engine, or correct its setting, when callers need it"})
	}
	return out
}

// tokenRoles looks at the roles that callers' tokens are made with (auth/token/roles,
// Vault API).
func tokenRoles(ctx context.Context, c config.Config) (out []Finding) {
	if !c.ChildTokenEnabled || c.VaultSecretIDWrapped {
		return nil
	}
	cl, err := lookingAtVault(c, vault.Config{})
	if err != nil {
		return []Finding{{"token roles", failed, err.Error(), "correct the settings of Vault"}}
	}
	defer func() { _ = cl.Close(ctx) }() // the token ends by itself
	for _, r := range []struct{ setting, role string }{{"CHILD_TOKEN_ROLE", c.ChildTokenRole}, {"LEASE_TOKEN_ROLE", c.LeaseTokenRole}} {
		switch err := cl.TokenRole(ctx, r.role); {
		case err == nil:
			out = append(out, Finding{"token role " + r.role, fine, "exists", ""})
		case call.Is(err, call.NotFound):
			out = append(out, Finding{"token role " + r.role, failed, r.setting + " names a token role that does not exist", "create it (vault write auth/token/roles/" + r.role + " ...), tools/devvault/gateway.hcl has an example"})
		case call.Is(err, call.Forbidden):
			out = append(out, Finding{"token role " + r.role, warning, "the gateway's policy does not let it look", "check yourself: vault read auth/token/roles/" + r.role})
		default:
			out = append(out, Finding{"token role " + r.role, warning, "could not be read: " + call.AsError(err).Msg, "mend what is wrong with Vault first"})
		}
	}
	return out
}

func certificateFiles(_ context.Context, c config.Config) (out []Finding) {
	for _, f := range Certificates(c) {
		name, left := "certificate "+f.Setting, time.Until(f.Ends)
		days := int(left / (24 * time.Hour))
		switch {
		case f.Err != nil:
			out = append(out, Finding{name, failed, f.Err.Error(), "correct " + f.Setting})
		case left < 0:
			out = append(out, Finding{name, failed, "has ended on " + f.Ends.UTC().Format(time.DateOnly), "renew it"})
		case left < expiryWarning:
			out = append(out, Finding{name, warning, fmt.Sprintf("ends in %d days", days), "renew it; the file is read again by itself"})
		default:
			out = append(out, Finding{name, fine, fmt.Sprintf("ends in %d days", days), ""})
		}
	}
	if c.TLSCertFile != "" {
		if _, err := files.KeyPair(c.TLSCertFile, c.TLSKeyFile); err != nil {
			out = append(out, Finding{"certificate chain", failed, err.Error(), "TLS_CERT_FILE must hold the chain, leaf first, and TLS_KEY_FILE its key"})
		}
	}
	return out
}

// privateFiles are to be read by the gateway alone.
func privateFiles(_ context.Context, c config.Config) (out []Finding) {
	for _, f := range c.PrivateFiles() {
		st, err := os.Stat(f.File)
		switch {
		case err != nil:
			out = append(out, Finding{"file " + f.Setting, failed, err.Error(), "correct " + f.Setting})
		case config.OpenToOthers(st.Mode()):
			out = append(out, Finding{"file " + f.Setting, warning, fmt.Sprintf("others may use %s (%s)", f.File, st.Mode().Perm()), "chmod o=,g-w " + f.File})
		default:
			out = append(out, Finding{"file " + f.Setting, fine, "no other user reads it", ""})
		}
	}
	return out
}

// directories are to be written by the gateway.
func directories(_ context.Context, c config.Config) (out []Finding) {
	seen := map[string]bool{"-": true, "": true}
	for _, d := range []struct{ setting, dir string }{
		{"AUDIT_FILE", filepath.Dir(c.AuditFile)}, {"LOG_DIR", c.LogDir}, {"DECISION_LOG", filepath.Dir(c.DecisionLog)}, {"STATE_DIR", c.StateDir},
	} {
		if seen[d.dir] || d.setting == "AUDIT_FILE" && c.AuditFile == "-" || d.setting == "DECISION_LOG" && c.DecisionLog == "" {
			continue
		}
		seen[d.dir] = true
		f, err := os.CreateTemp(d.dir, ".doctor-*")
		if err == nil {
			err = errors.Join(f.Close(), os.Remove(f.Name()))
		}
		switch {
		case errors.Is(err, os.ErrNotExist):
			out = append(out, Finding{"directory of " + d.setting, warning, d.dir + " does not exist yet; the gateway makes it", ""})
		case err != nil:
			out = append(out, Finding{"directory of " + d.setting, failed, err.Error(), "let the gateway's user write to " + d.dir + ": a call whose record cannot be written is refused"})
		default:
			out = append(out, Finding{"directory of " + d.setting, fine, d.dir + " can be written", ""})
		}
	}
	return out
}

// sinkReceivers opens a connection to each receiver of evidence and sends nothing.
func sinkReceivers(ctx context.Context, c config.Config) (out []Finding) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	conf.RootCAs, _ = files.CertPool(c.AuditSinkCA)
	ports := map[string]string{"syslog+tcp": "601", "syslog+tls": "6514", "https": "443"}
	for _, raw := range c.AuditSinks {
		u, err := url.Parse(raw)
		if err != nil || ports[u.Scheme] == "" {
			continue // stdout; what is wrong ends the start
		}
		addr := net.JoinHostPort(u.Hostname(), u.Port())
		if u.Port() == "" {
			addr = net.JoinHostPort(u.Hostname(), ports[u.Scheme])
		}
		var conn net.Conn
		if u.Scheme == "syslog+tcp" {
			conn, err = new(net.Dialer).DialContext(ctx, "tcp", addr)
		} else {
			conn, err = (&tls.Dialer{Config: conf}).DialContext(ctx, "tcp", addr)
		}
		name := "sink " + u.Scheme + "://" + u.Host
		if err != nil {
			out = append(out, Finding{name, failed, err.Error(), "check the receiver and AUDIT_SINK_CA; lines wait in AUDIT_SPOOL_DIR meanwhile"})
			continue
		}
		_ = conn.Close() // nothing was sent
		out = append(out, Finding{name, fine, "takes connections", ""})
	}
	return out
}

// running asks the gateway that listens where the configuration says.
func running(ctx context.Context, c config.Config) []Finding {
	host := c.Host
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme := "http"
	if c.TLSCertFile != "" {
		scheme = "https"
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // the probe tells nothing and is told nothing secret
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s://%s/readyz", scheme, net.JoinHostPort(host, fmt.Sprint(c.Port))), nil)
	if err != nil {
		return nil
	}
	resp, err := client.Do(req)
	if err != nil {
		return []Finding{{"gateway", warning, "no gateway listens at " + c.Listen(), "start it (portcullis serve), when it should run"}}
	}
	defer func() { _ = resp.Body.Close() }()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode != http.StatusOK {
		return []Finding{{"gateway", failed, "runs and is not ready: " + string(text), "mend the part whose ok is false"}}
	}
	if strings.Contains(string(text), "degraded") || strings.Contains(string(text), "was refused") {
		return []Finding{{"gateway", warning, "runs, and a part is degraded: " + string(text), "server.log says why"}}
	}
	return []Finding{{"gateway", fine, "runs and is ready", ""}}
}
