package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httputil"
	"os"
	"os/exec"
	"slices"
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
	for _, command := range s.Before {
		if err := r.shell(r.expand(command), true); err != nil {
			t.Fatalf("%s: before %s\n%v%s", file, clip(command), err, r.last())
		}
	}
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
	store   string // REDIS_URL of a fleet
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
	fleet := Fleet() && r.script.Alone == ""
	if fleet {
		if r.store == "" {
			r.store = "REDIS_URL=" + sharedStore(r.t)
		}
		env = append(env, r.store) // that of before, when it is started again
	}
	r.gateway = startIn(r.t, r.dir, r.vault, fleet, env...)
}

func (r *run) step(st step) error {
	st.rest = r.expand(st.rest)
	switch st.verb {
	case "status", "header", "json", "text", "within", "save":
		return r.assert(st.verb, st.rest)
	case "audit":
		return r.assertLines(CallLines(r.t, r.auditFiles()...)[r.audit:], st.rest)
	case "vault":
		if r.isEvent(st.rest) {
			return r.vaultEvent(st.rest)
		}
		return r.assertLines(vaultLines(r.t, r.vault)[r.seen:], st.rest)
	}
	r.audit, r.seen = len(CallLines(r.t, r.auditFiles()...)), len(vaultLines(r.t, r.vault))
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

func (r *run) shell(command string, succeed bool) error {
	cmd := exec.CommandContext(r.t.Context(), "bash", "-euo", "pipefail", "-c", command)
	cmd.Dir = r.dir
	cmd.Env = os.Environ()
	names := []string{"DIR", "VAULT_ADDR", "VAULT_TOKEN", "ROOT"}
	if r.gateway != nil {
		names = append(names, "URL", "LOGS", "PID")
	}
	for _, name := range names {
		cmd.Env = append(cmd.Env, name+"="+r.value(name))
	}
	out, err := cmd.CombinedOutput()
	r.body, r.output = out, true
	if (err == nil) != succeed {
		return fmt.Errorf("exit: %w", err)
	}
	return nil
}

// auditFiles are where the script's gateway keeps its evidence; what is not a regular file
// has no lines.
func (r *run) auditFiles() []string {
	names := r.gateway.AuditFiles()
	if name := r.setting("AUDIT_FILE", ""); name != "" {
		names = []string{name}
	}
	return slices.DeleteFunc(names, func(name string) bool {
		st, err := os.Stat(name)
		return err != nil || !st.Mode().IsRegular()
	})
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
