//go:build debian

package debian_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
)

var older = flag.String("older", "", "a package `file` of an earlier release to upgrade from; without it one is made of this release")

// configure is what an administrator does between installing and starting.
const configure = `
portcullis keys new --file /etc/portcullis/keys.yaml --subject ci > ci.key
portcullis keys new --file /etc/portcullis/keys.yaml --subject gone > gone.key
portcullis keys new --file /etc/portcullis/keys.yaml --subject oncall --kind human --scope admin:revoke > oncall.key
mkdir -p /etc/portcullis/policy
printf 'grants:\n  subjects:\n    ci: {db: {readonly: {}}}\n' > /etc/portcullis/policy/data.yaml
install -o root -g portcullis -m 0640 /dev/stdin /etc/portcullis/secret-id <<< %q
cat > /etc/portcullis/portcullis.toml <<END
vault_addr = %q
vault_role_id = %q
vault_secret_id_file = "/etc/portcullis/secret-id"
api_keys_file = "/etc/portcullis/keys.yaml"
policy_dir = "/etc/portcullis/policy"
admin_addr = "127.0.0.1:0"
shutdown_delay = "0s"
log_dir = "/var/log/portcullis"
state_dir = "/var/lib/portcullis/state"
END
echo PORT=0 RATE_LIMIT_ENABLED=false REDIS_URL=%s > /etc/portcullis/environment
runuser -u portcullis -- portcullis config check --config /etc/portcullis/portcullis.toml
runuser -u portcullis -- portcullis doctor --config /etc/portcullis/portcullis.toml
`

// kept is what somebody has before an upgrade and must have after it.
type kept struct {
	ci, gone, session caller
	lease             string
	toml              string
}

// TestPackage installs a package, serves, rotates, upgrades to a newer one and removes that.
func TestPackage(t *testing.T) {
	root := e2e.Root(t)
	if !apart(t) {
		return
	}
	m := newMachine(t)
	v := e2e.StartVault(t, "--postgres", e2e.StartPostgres(t).DSN())
	r, err := stack.StartRedis(context.WithoutCancel(t.Context()))
	m.must(err)
	t.Cleanup(func() { _ = r.Close() })
	old, current := m.packages(root)
	m.sh("dpkg -i " + old)
	m.calls("daemon-reload", "try-restart portcullis.service")
	m.sh(fmt.Sprintf(configure, v.SecretID, v.Addr, v.RoleID, r.URL()))
	g := m.start()
	k := m.use(g)
	m.rotate(g, k.ci)
	g = m.upgrade(g, current)
	m.holds(g, k)
	m.remove(g, k)
}

// use begins what an upgrade must leave alone.
func (m *machine) use(g *stack.Gateway) (k kept) {
	m.t.Helper()
	key := func(name string) caller {
		return caller{m, "X-API-Key", strings.TrimSpace(m.read("/root/" + name + ".key"))}
	}
	k.ci, k.gone, k.toml = key("ci"), key("gone"), m.read("/etc/portcullis/portcullis.toml")
	k.ci.ask(http.StatusOK, "PUT", g.URL+"/secrets/app", `{"data":{"at":"first"}}`)
	k.lease = m.decode(k.ci.ask(http.StatusOK, "POST", g.URL+"/db/creds/readonly", "{}"), "lease_id")
	login := caller{m, "X-Vault-Token", k.ci.secret}.ask(http.StatusOK, "POST", g.URL+"/v1/auth/token/create", "{}")
	k.session = caller{m, "X-Vault-Token", m.decode(login, "auth", "client_token")}
	k.gone.ask(http.StatusOK, "GET", g.URL+"/whoami", "")
	key("oncall").ask(http.StatusOK, "POST", g.AdminURL+"/revoke", `{"subject":"gone"}`)
	k.gone.ask(http.StatusUnauthorized, "GET", g.URL+"/whoami", "")
	return k
}

// rotate does to the logs what the gateway does itself, and to the evidence what nobody should.
func (m *machine) rotate(g *stack.Gateway, ci caller) {
	m.t.Helper()
	for _, name := range []string{"requests.log", "responses.log", "server.log", "audit.jsonl"} {
		m.written(g, ci, name)
		m.sh("mv /var/log/portcullis/" + name + " /var/log/portcullis/" + name + ".1")
	}
	m.sh("systemctl reload portcullis")
	for _, name := range []string{"requests.log", "responses.log", "server.log", "audit.jsonl"} {
		m.written(g, ci, name)
	}
	m.verified("/var/log/portcullis/audit.jsonl.1 /var/log/portcullis/audit.jsonl")
}

// written waits until a file of logs or evidence has something.
func (m *machine) written(g *stack.Gateway, ci caller, name string) {
	m.t.Helper()
	e2e.Eventually(m.t, name+" is written", func() bool {
		ci.ask(http.StatusOK, "GET", g.URL+"/secrets/app", "")
		ci.ask(http.StatusOK, "GET", g.URL+"/livez", "") // no call, so in requests.log
		return m.has("/var/log/portcullis/"+name) && m.read("/var/log/portcullis/"+name) != ""
	})
}

// verified checks the chain through files of evidence.
func (m *machine) verified(files string) {
	m.t.Helper()
	if out := m.sh("portcullis audit verify " + files); !strings.Contains(out, "good") {
		m.t.Errorf("verify %s: %s", files, out)
	}
}

// upgrade installs the newer package while the service runs, and does what its scripts ask of
// systemd.
func (m *machine) upgrade(g *stack.Gateway, deb string) *stack.Gateway {
	m.t.Helper()
	before := m.sh("dpkg-query -W -f '${Version}' portcullis")
	m.sh("rm /run/systemctl.calls; dpkg --force-confdef --force-confold -i " + deb)
	if after := m.sh("dpkg-query -W -f '${Version}' portcullis"); m.sh("dpkg --compare-versions "+before+" lt "+after+" && echo newer") != "newer" {
		m.t.Errorf("%s after %s", after, before)
	}
	m.calls("daemon-reload", "daemon-reload", "try-restart portcullis.service") // of the old package and the new one
	<-g.Done()
	if g.ExitCode() != 0 {
		m.t.Errorf("the service ends with %d: %s", g.ExitCode(), g.Output())
	}
	return m.start()
}

// holds checks that an upgrade has changed nothing for those who use the gateway.
func (m *machine) holds(g *stack.Gateway, k kept) {
	m.t.Helper()
	if got := m.read("/etc/portcullis/portcullis.toml"); got != k.toml {
		m.t.Errorf("the configuration is now %s", got)
	}
	if got := k.ci.ask(http.StatusOK, "GET", g.URL+"/secrets/app", ""); !strings.Contains(got, "first") {
		m.t.Errorf("the secret is %s", got)
	}
	k.gone.ask(http.StatusUnauthorized, "GET", g.URL+"/whoami", "")
	k.session.ask(http.StatusOK, "GET", g.URL+"/v1/auth/token/lookup-self", "")
	k.session.ask(http.StatusOK, "GET", g.URL+"/v1/secret/data/mcp/ci/app", "")
	if got := k.ci.ask(http.StatusOK, "GET", g.URL+"/db/leases", ""); !strings.Contains(got, k.lease) {
		m.t.Errorf("the leases are %s", got)
	}
	k.ci.ask(http.StatusOK, "POST", g.URL+"/db/renew", fmt.Sprintf(`{"lease_id":%q}`, k.lease))
	k.ci.ask(http.StatusOK, "POST", g.URL+"/db/revoke", fmt.Sprintf(`{"lease_id":%q}`, k.lease))
	m.verified("/var/log/portcullis/audit.jsonl.1 /var/log/portcullis/audit.jsonl")
}

// remove removes the package and then its configuration, and looks for what is left.
func (m *machine) remove(g *stack.Gateway, k kept) {
	m.t.Helper()
	k.ci.ask(http.StatusOK, "GET", g.URL+"/whoami", "")
	m.sh("rm /run/systemctl.calls; dpkg -r portcullis")
	m.calls("disable --now portcullis.service", "daemon-reload")
	<-g.Done()
	for name, want := range map[string]bool{
		"/usr/bin/portcullis": false, "/lib/systemd/system/portcullis.service": false, "/usr/share/doc/portcullis": false,
		"/etc/portcullis/portcullis.toml": true,
	} {
		if m.has(name) != want {
			m.t.Errorf("removed, it has %s: %v", name, !want)
		}
	}
	m.sh("dpkg -P portcullis")
	data := []string{"/etc/portcullis/environment", "/etc/portcullis/keys.yaml", "/etc/portcullis/policy", "/etc/portcullis/secret-id", "/var/lib/portcullis", "/var/log/portcullis"}
	user := []string{"/etc/.pwd.lock", "/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow"}
	for _, name := range m.traces() {
		of := func(p string) bool { return name == p || strings.HasPrefix(name, p+"/") || name == "/etc/portcullis" }
		if !slices.ContainsFunc(data, of) && !slices.Contains(user, strings.TrimSuffix(name, "-")) {
			m.t.Errorf("left behind: %s", name)
		}
	}
	if err := g.Signal(syscall.Signal(0)); err == nil {
		m.t.Error("the service runs")
	}
}

// calls checks what scripts of the package have asked systemd for since it was looked last.
func (m *machine) calls(want ...string) {
	m.t.Helper()
	if got := strings.Split(strings.TrimSpace(m.read("/run/systemctl.calls")), "\n"); !slices.Equal(got, want) {
		m.t.Errorf("systemctl was called with %q, want %q", got, want)
	}
}
