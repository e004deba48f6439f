package e2e_test

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
)

var (
	readyRE = regexp.MustCompile(`(?m)^ready: (http\S+)`)
	vaultRE = regexp.MustCompile(`(?m)^dev Vault: (http\S+)`)
)

// makeRun starts `make run` on a free port and waits until it is ready. It returns
// the process, the gateway's address and that of Vault.
func makeRun(t *testing.T, env ...string) (p *stack.Process, gateway, vault string) {
	t.Helper()
	clean := []string{"PORT=0", "LOG_DIR=" + t.TempDir()}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "VAULT_") && !strings.HasPrefix(e, "MAKE") && !strings.HasPrefix(e, "MFLAGS") {
			clean = append(clean, e)
		}
	}
	p, err := stack.Start(t.Context(), stack.Command{Path: "make", Args: []string{"-C", e2e.Root(t), "run"}, Env: append(clean, env...)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { wait(t, p) })
	if err := p.Says(t.Context(), "Ctrl-C stops everything."); err != nil {
		t.Fatal(err)
	}
	gateway = readyRE.FindStringSubmatch(p.Output())[1]
	if m := vaultRE.FindStringSubmatch(p.Output()); m != nil {
		vault = m[1]
	}
	return p, gateway, vault
}

// interrupt does what Ctrl-C on a terminal does, and waits for the end.
func interrupt(t *testing.T, p *stack.Process) {
	t.Helper()
	if err := syscall.Kill(-p.PID(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
}

func wait(t *testing.T, p *stack.Process) {
	t.Helper()
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
}

// listens reports whether somebody answers at an address.
func listens(t *testing.T, address string) bool {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", u.Host)
	return err == nil && c.Close() == nil
}

// TestMakeRun: every line that make run prints works when it is pasted, and Ctrl-C
// leaves nothing behind.
func TestMakeRun(t *testing.T) {
	p, gateway, vault := makeRun(t)
	pasted := 0
	for line := range strings.Lines(p.Output()) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "curl ") {
			continue
		}
		pasted++
		out, err := shell(t.Context(), t.TempDir(), strings.Replace(line, "curl ", "curl --fail-with-body ", 1))
		if err != nil || strings.Contains(out, `"isError":true`) {
			t.Errorf("%s\n%v\n%s", line, err, out)
		}
	}
	if pasted < 7 {
		t.Errorf("only %d lines to paste in\n%s", pasted, p.Output())
	}
	if !listens(t, gateway) || !listens(t, vault) {
		t.Error("the addresses are not those of the gateway and of Vault")
	}
	interrupt(t, p)
	if listens(t, gateway) || listens(t, vault) {
		t.Errorf("somebody is left behind\n%s", p.Output())
	}
}

// TestMakeRunWithVault: with VAULT_ADDR set only the gateway is started, and
// stopped.
func TestMakeRunWithVault(t *testing.T) {
	v := e2e.StartVault(t)
	p, gateway, vault := makeRun(t, "VAULT_ADDR="+v.Addr, "VAULT_TOKEN="+v.Token)
	if vault != "" {
		t.Errorf("a dev Vault was started at %s", vault)
	}
	out, err := shell(t.Context(), t.TempDir(), "curl -sSf -H 'X-API-Key: "+e2e.Key+"' "+gateway+"/secrets/none || true")
	if got := e2e.VaultRequests(t, v); len(got) == 0 {
		t.Errorf("the Vault of VAULT_ADDR saw nothing: %s %v", out, err)
	}
	interrupt(t, p)
	if listens(t, gateway) || !listens(t, v.Addr) {
		t.Error("the gateway is left behind, or Vault is gone")
	}
}

// TestMakeRunKilled: not even a crash of make leaves anything behind.
func TestMakeRunKilled(t *testing.T) {
	p, gateway, vault := makeRun(t)
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	e2e.Eventually(t, "the end of both", func() bool { return !listens(t, gateway) && !listens(t, vault) })
}

// readmeTargets are commands of the README that the tests do not run: they are what
// runs the tests, or take long. Their targets must exist.
var readmeTargets = regexp.MustCompile(`^make (test|check|bench|conformance|fuzz|lint|vuln|race)\b`)

// TestREADME runs every line of the README's sh blocks, against what `make run`
// starts. A line that begins with # or is empty says something; a line that ends in
// a backslash goes on.
func TestREADME(t *testing.T) {
	root := e2e.Root(t)
	raw, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	p, gateway, vault := makeRun(t)
	here := strings.NewReplacer("http://127.0.0.1:8089", gateway, "http://localhost:8089", gateway, "http://127.0.0.1:8200", vault)
	lines := shellLines(string(raw))
	if len(lines) < 2 {
		t.Errorf("the README has only %d lines of sh", len(lines))
	}
	for _, line := range lines {
		switch {
		case line == "make run" || strings.HasPrefix(line, "git clone") || strings.HasPrefix(line, "cd "):
			continue // make run has been done; the clone is here
		case readmeTargets.MatchString(line):
			line = "make -n " + strings.TrimPrefix(line, "make ")
		}
		line = strings.ReplaceAll(here.Replace(line), "curl ", "curl --fail-with-body ")
		if out, err := shell(t.Context(), root, line, "VAULT_ADDR="+vault, "VAULT_TOKEN=root"); err != nil || strings.Contains(out, `"isError":true`) {
			t.Errorf("%s\n%v\n%s", line, err, out)
		}
	}
	interrupt(t, p)
}

var blockRE = regexp.MustCompile("(?ms)^```sh\n(.*?)^```")

func shellLines(text string) (lines []string) {
	for _, block := range blockRE.FindAllStringSubmatch(text, -1) {
		joined := strings.ReplaceAll(block[1], "\\\n", " ")
		for line := range strings.Lines(joined) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), " # ")
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				lines = append(lines, line)
			}
		}
	}
	return lines
}
