package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/e2e/stack"
)

// requestTimeout bounds every request of a script.
const requestTimeout = 30 * time.Second

// RunScript runs one script with a gateway process of its own, in front of v or,
// when that is nil or the script says so, of a Vault of its own. The script is at an
// end with the first step that fails.
func RunScript(t *testing.T, file string, v *stack.Vault) {
	t.Helper()
	s, err := ReadScript(file)
	if err != nil {
		t.Fatal(err)
	}
	if s.Vault != nil || v == nil {
		v = StartVault(t, s.Vault...)
	}
	r := &run{t: t, script: s, vault: v, dir: t.TempDir(), vars: map[string]string{}}
	r.start()
	for _, st := range s.steps {
		if err := r.step(st); err != nil {
			t.Fatalf("%s:%d: %s %s\n%v%s", file, st.line, st.verb, clip(st.rest), err, r.last())
		}
	}
}

// run is a script that runs.
type run struct {
	t       *testing.T
	script  *Script
	vault   *stack.Vault
	gateway *stack.Gateway
	dir     string
	vars    map[string]string // what was saved

	resp   *http.Response
	body   []byte
	took   time.Duration
	output bool // body is the output of a command
	audit  int  // lines of the audit file before the last step that did something
	seen   int  // requests at Vault, likewise
}

func (r *run) start() {
	env := make([]string, len(r.script.Env))
	for i, e := range r.script.Env {
		env[i] = r.expand(e)
	}
	r.gateway = startIn(r.t, r.dir, r.vault, env...)
}

func (r *run) step(st step) error {
	st.rest = r.expand(st.rest)
	switch st.verb {
	case "status", "header", "json", "text", "within", "save":
		return r.assert(st.verb, st.rest)
	case "audit":
		return r.assertLines(Lines(r.t, r.auditFile())[r.audit:], st.rest)
	case "vault":
		if r.isEvent(st.rest) {
			return r.vaultEvent(st.rest)
		}
		return r.assertLines(vaultLines(r.t, r.vault)[r.seen:], st.rest)
	}
	r.audit, r.seen = len(Lines(r.t, r.auditFile())), len(vaultLines(r.t, r.vault))
	switch st.verb {
	case "gateway":
		return r.gatewayEvent(st.rest)
	case "sh", "sh!":
		return r.shell(st.rest, st.verb == "sh")
	}
	for range st.times {
		if err := r.send(r.request(st)); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) isEvent(word string) bool {
	return strings.Contains(" stop start seal unseal ", " "+word+" ")
}

func (r *run) gatewayEvent(what string) error {
	switch what {
	case "stop":
		return r.gateway.Stop()
	case "kill":
		return r.gateway.Kill()
	case "start":
		r.start()
		return nil
	}
	return fmt.Errorf("cannot %q a gateway", what)
}

func (r *run) vaultEvent(what string) error {
	if r.script.Vault == nil {
		return fmt.Errorf("only the Vault of a script that says \"vault own\" may %s", what)
	}
	switch what {
	case "stop":
		return r.vault.Stop()
	case "start":
		return r.vault.Restart(r.t.Context())
	case "seal":
		return r.vault.Seal(r.t.Context())
	}
	return r.vault.Unseal(r.t.Context())
}

// request turns the short forms of an MCP request into the long one.
func (r *run) request(st step) step {
	word, args, _ := strings.Cut(st.rest, " ")
	if args == "" {
		args = "{}"
	}
	switch st.verb {
	case "call":
		args = fmt.Sprintf(`{"name":%q,"arguments":%s}`, word, args)
		word = "tools/call"
	case "rpc":
	default:
		return st
	}
	st.verb, st.rest = http.MethodPost, "/mcp/rpc"
	st.body = fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`, word, args)
	st.headers = append([]string{"Accept: application/json, text/event-stream"}, st.headers...)
	return st
}

// send sends a request as it is written: the client cleans no path.
func (r *run) send(st step) error {
	ctx, cancel := context.WithTimeout(r.t.Context(), requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, st.verb, r.gateway.URL, strings.NewReader(r.expand(st.body)))
	if err != nil {
		return err
	}
	path, query, _ := strings.Cut(st.rest, "?")
	req.URL.Opaque, req.URL.RawQuery = path, query
	req.Header.Set("X-API-Key", r.script.Key)
	if st.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range st.headers {
		name, value, _ := strings.Cut(r.expand(h), ":")
		if value = strings.TrimSpace(value); value == "" {
			req.Header.Del(name)
			continue
		}
		req.Header.Set(name, value)
	}
	start := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	r.body, err = io.ReadAll(resp.Body)
	r.resp, r.took, r.output = resp, time.Since(start), false
	return err
}

func (r *run) shell(command string, succeed bool) error {
	cmd := exec.CommandContext(r.t.Context(), "bash", "-euo", "pipefail", "-c", command)
	cmd.Dir = r.dir
	cmd.Env = os.Environ()
	for _, name := range []string{"URL", "DIR", "LOGS", "VAULT_ADDR", "VAULT_TOKEN", "ROOT", "PID"} {
		cmd.Env = append(cmd.Env, name+"="+r.value(name))
	}
	out, err := cmd.CombinedOutput()
	r.body, r.output = out, true
	if (err == nil) != succeed {
		return fmt.Errorf("exit: %w", err)
	}
	return nil
}

func (r *run) assert(verb, rest string) error {
	switch verb {
	case "status":
		return check(float64(r.resp.StatusCode), true, rest)
	case "header":
		name, rest, _ := strings.Cut(rest, " ")
		values := r.resp.Header.Values(name)
		return check(strings.Join(values, ", "), len(values) > 0, rest)
	case "text":
		return check(string(r.body), true, rest)
	case "within":
		limit, err := time.ParseDuration(rest)
		if err == nil && r.took > limit {
			err = fmt.Errorf("it took %s", r.took)
		}
		return err
	}
	var v any
	if err := json.Unmarshal(r.body, &v); err != nil {
		return err
	}
	if verb == "save" {
		name, path, _ := strings.Cut(rest, " ")
		got, ok := lookup(v, path)
		r.vars[name] = show(got)
		return check(got, ok, "exists")
	}
	path, rest, _ := strings.Cut(rest, " ")
	got, ok := lookup(v, path)
	return check(got, ok, rest)
}

// assertLines checks "count OP N" or "N PATH OP VALUE" of lines of an audit file.
func (r *run) assertLines(lines []map[string]any, rest string) error {
	which, rest, _ := strings.Cut(rest, " ")
	if which == "count" {
		return check(float64(len(lines)), true, rest)
	}
	all := make([]any, len(lines))
	for i, l := range lines {
		all[i] = l
	}
	path, rest, _ := strings.Cut(rest, " ")
	got, ok := lookup(all, "["+which+"]"+path)
	return check(got, ok, rest)
}

// auditFile is where the script's gateway keeps its evidence; what is not a
// regular file has no lines.
func (r *run) auditFile() string {
	name := r.setting("AUDIT_FILE", r.gateway.AuditFile())
	if st, err := os.Stat(name); err != nil || !st.Mode().IsRegular() {
		return os.DevNull
	}
	return name
}

// setting is a variable of the gateway's environment.
func (r *run) setting(key, otherwise string) string {
	for _, e := range r.script.Env {
		if v, ok := strings.CutPrefix(e, key+"="); ok {
			return r.expand(v)
		}
	}
	return otherwise
}

var variableRE = regexp.MustCompile(`\$\{([^}]+)\}`)

func (r *run) expand(s string) string {
	return variableRE.ReplaceAllStringFunc(s, func(m string) string { return r.value(m[2 : len(m)-1]) })
}

func (r *run) value(name string) string {
	kind, arg, _ := strings.Cut(name, ":")
	switch kind {
	case "repeat":
		n, text, _ := strings.Cut(arg, ":")
		count, _ := strconv.Atoi(n)
		return strings.Repeat(text, count)
	case "env":
		return os.Getenv(arg)
	case "jwt":
		return token(r.setting("JWT_HS256_SECRET", ""), arg)
	case "DIR":
		return r.dir
	case "ROOT":
		return Root(r.t)
	case "VAULT_ADDR":
		return r.vault.Addr
	case "VAULT_TOKEN":
		return r.vault.Token
	case "URL":
		return r.gateway.URL
	case "LOGS":
		return r.gateway.LogDir
	case "PID":
		return strconv.Itoa(r.gateway.PID())
	}
	v, ok := r.vars[name]
	if !ok {
		r.t.Fatalf("%s: ${%s} is not set", r.script.File, name)
	}
	return v
}

// last shows the last answer, for a step that failed.
func (r *run) last() string {
	if r.output {
		return "\n--- output\n" + clip(string(r.body))
	}
	if r.resp == nil {
		return ""
	}
	head, err := httputil.DumpResponse(r.resp, false)
	if err != nil {
		return ""
	}
	return "\n--- last answer\n" + string(bytes.TrimSpace(head)) + "\n\n" + clip(string(r.body))
}

func clip(s string) string {
	if len(s) > 2000 {
		return s[:2000] + "..."
	}
	return s
}
