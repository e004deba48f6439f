//go:build debian

package debian_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"portcullis/gateway/e2e/stack"
)

// systemctl notes what it is asked, and ends the service where systemd would; who runs the
// test starts it.
const systemctl = `#!/bin/sh
echo "$*" >>/run/systemctl.calls
case "$*" in
"try-restart portcullis.service" | "disable --now portcullis.service")
	test -e /run/portcullis.pid || exit 0
	pid=$(cat /run/portcullis.pid)
	kill "$pid"
	while test -d "/proc/$pid"; do sleep 0.05; done
	rm /run/portcullis.pid
	;;
"reload portcullis") kill -HUP "$(cat /run/portcullis.pid)" ;;
esac
`

// sandbox runs a service as systemd does with the unit's settings that a file system, an
// identity and an environment make. Seccomp filters are not among them.
const sandbox = `
exec unshare --mount --propagation private /bin/sh -euc '
	for d in %[1]s; do mount --bind "$d" "$d"; done
	for d in /tmp /home /root; do mount -t tmpfs -o mode=0755 tmpfs "$d"; done
	chmod 1777 /tmp
	mount -o remount,bind,ro /
	mount -o remount,bind,ro /run
	cd %[2]s
	umask %[3]s
	exec setpriv --reuid %[4]s --regid %[5]s --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all env -i %[6]s %[7]s'
`

// unit is what a file for systemd says: the last value of a setting, and all of those that
// may be given several times.
type unit struct {
	one  map[string]string
	many map[string][]string
}

func (m *machine) unit() unit {
	m.t.Helper()
	u := unit{map[string]string{}, map[string][]string{}}
	for line := range strings.Lines(m.read("/lib/systemd/system/portcullis.service")) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			u.one[name] = value
			u.many[name] = append(u.many[name], value)
		}
	}
	return u
}

// start starts the service as its unit says, and waits until it is ready.
func (m *machine) start() *stack.Gateway {
	m.t.Helper()
	u := m.unit()
	own := map[string]string{"/var/lib/" + u.one["StateDirectory"]: u.one["StateDirectoryMode"], "/var/log/" + u.one["LogsDirectory"]: u.one["LogsDirectoryMode"]}
	var dirs []string
	for d, mode := range own {
		m.sh(fmt.Sprintf("mkdir -p %[1]s; chown %[2]s:%[3]s %[1]s; chmod %[4]s %[1]s", d, u.one["User"], u.one["Group"], mode))
		dirs = append(dirs, d)
	}
	env := u.many["Environment"]
	if more := strings.TrimPrefix(u.one["EnvironmentFile"], "-"); m.has(more) {
		env = append(env, strings.Fields(m.read(more))...)
	}
	script := fmt.Sprintf(sandbox, strings.Join(dirs, " "), u.one["WorkingDirectory"], u.one["UMask"], u.one["User"], u.one["Group"], strings.Join(env, " "), u.one["ExecStart"])
	var ready struct {
		Addr  string `json:"addr"`
		Admin string `json:"admin_addr"`
	}
	p, err := stack.Start(context.WithoutCancel(m.t.Context()), stack.Command{
		Path: "/usr/sbin/chroot", Args: []string{m.root, "/bin/sh", "-euc", script}, Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, Ready: true,
	}, &ready)
	m.must(err)
	m.write("/run/portcullis.pid", fmt.Sprint(p.PID()), 0o644)
	m.t.Cleanup(func() {
		_ = p.Kill()
		if m.t.Failed() {
			m.t.Logf("the service says:\n%s", p.Output())
		}
	})
	return &stack.Gateway{Process: p, URL: ready.Addr, AdminURL: ready.Admin, LogDir: "/var/log/portcullis"}
}

// caller is somebody with a credential.
type caller struct {
	m      *machine
	header string
	secret string
}

// ask makes a call that has to be answered with a status.
func (c caller) ask(status int, method, url, body string) string {
	c.m.t.Helper()
	r, err := http.NewRequestWithContext(c.m.t.Context(), method, url, strings.NewReader(body))
	c.m.must(err)
	r.Header.Set(c.header, c.secret)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(r)
	c.m.must(err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	c.m.must(err)
	if resp.StatusCode != status {
		c.m.t.Fatalf("%s %s: %d, want %d: %s", method, url, resp.StatusCode, status, text)
	}
	return string(text)
}

// decode reads a member of an answer, by the names that lead to it.
func (m *machine) decode(text string, names ...string) string {
	m.t.Helper()
	var v any
	m.must(json.Unmarshal([]byte(text), &v))
	for _, n := range names {
		o, _ := v.(map[string]any)
		v = o[n]
	}
	s, ok := v.(string)
	if !ok {
		m.t.Fatalf("no %v in %s", names, text)
	}
	return s
}

// packages makes the package of the project's sources, and an older one of the same sources
// with another configuration file, unless -older names one.
func (m *machine) packages(root string) (old, current string) {
	m.t.Helper()
	current = m.packaged(root, "0.1.0+2.gabcdef0")
	if *older != "" {
		text, err := os.ReadFile(*older)
		m.must(errors.Join(err, os.WriteFile(m.root+"/tmp/older.deb", text, 0o644)))
		return "/tmp/older.deb", current
	}
	dir := m.root + "/tmp/earlier"
	m.must(errors.Join(os.MkdirAll(dir+"/wrote", 0o755), os.Mkdir(dir+"/work", 0o755)))
	m.mount("overlay", dir+"/source", "overlay", 0, "lowerdir="+root+",upperdir="+dir+"/wrote,workdir="+dir+"/work")
	f, err := os.OpenFile(dir+"/source/tools/deploy/package/portcullis.toml", os.O_APPEND|os.O_WRONLY, 0)
	m.must(err)
	_, err = fmt.Fprintln(f, "# of an earlier release")
	m.must(errors.Join(err, f.Close()))
	return m.packaged(dir+"/source", "0.1.0"), current
}

func (m *machine) packaged(root, version string) string {
	m.t.Helper()
	arch := m.sh("dpkg --print-architecture")
	p, err := stack.Start(m.t.Context(), stack.Command{
		Path: "/usr/bin/env",
		Args: []string{"go", "run", "-C", root + "/tools/release", ".", "packages", "--root", root, "--arch", arch, "--number", version, "--out", m.root + "/tmp/dist"},
	}, nil)
	m.must(err)
	if <-p.Done(); p.ExitCode() != 0 {
		m.t.Fatalf("packages: %s", p.Output())
	}
	return "/tmp/dist/portcullis_" + version + "_" + arch + ".deb"
}
