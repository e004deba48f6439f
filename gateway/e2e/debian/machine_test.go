//go:build debian

package debian_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// inside says that this process is the one in the namespaces.
const inside = "PORTCULLIS_INSIDE"

// apart runs the test again in a process with mounts and process ids of its own, so that
// whatever it mounts and starts is gone when it ends, and reports whether this is that one.
func apart(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		return true
	}
	if os.Getuid() != 0 {
		t.Fatal("installing a package needs root: run it as root, in a container if you like (sudo make deploy)")
	}
	for _, name := range []string{"dpkg", "chroot", "unshare", "setpriv", "useradd"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Fatalf("installing a package needs %s, of Debian or Ubuntu", name)
		}
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-older="+*older)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
	return false
}

// machine is a Debian of its own: everything of this one, with what is written apart from it.
type machine struct {
	t     *testing.T
	root  string // its root file system
	wrote string // what was written, and nothing else
}

// newMachine makes one that runs systemd, as far as scripts of packages can see.
func newMachine(t *testing.T) *machine {
	t.Helper()
	dir := t.TempDir()
	m := &machine{t: t, root: filepath.Join(dir, "root"), wrote: filepath.Join(dir, "own", "wrote")}
	m.must(syscall.Mount("", "/", "", syscall.MS_PRIVATE|syscall.MS_REC, ""))
	m.mount("tmpfs", filepath.Join(dir, "own"), "tmpfs", 0, "")
	work := filepath.Join(dir, "own", "work")
	m.must(errors.Join(os.Mkdir(work, 0o755), os.Mkdir(m.wrote, 0o755)))
	m.mount("overlay", m.root, "overlay", 0, "lowerdir=/,upperdir="+m.wrote+",workdir="+work)
	m.mount("proc", m.root+"/proc", "proc", 0, "")
	for _, d := range []string{"/dev", "/sys"} {
		m.mount(d, m.root+d, "", syscall.MS_BIND|syscall.MS_REC, "")
	}
	for _, d := range []string{"/tmp", "/run"} {
		m.mount("tmpfs", m.root+d, "tmpfs", 0, "mode=1777")
	}
	m.must(os.MkdirAll(m.root+"/run/systemd/system", 0o755))
	m.write("/usr/local/bin/systemctl", systemctl, 0o755)
	return m
}

func (m *machine) mount(what, where, kind string, flags uintptr, data string) {
	m.t.Helper()
	m.must(os.MkdirAll(where, 0o755))
	if err := syscall.Mount(what, where, kind, flags, data); err != nil {
		m.t.Fatalf("mount %s at %s: %v", what, where, err)
	}
	m.t.Cleanup(func() { _ = syscall.Unmount(where, syscall.MNT_DETACH) })
}

func (m *machine) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// write writes a file of the machine, as its administrator.
func (m *machine) write(name, text string, mode fs.FileMode) {
	m.t.Helper()
	m.must(os.MkdirAll(filepath.Dir(m.root+name), 0o755))
	m.must(os.WriteFile(m.root+name, []byte(text), mode))
	m.must(os.Chmod(m.root+name, mode))
}

func (m *machine) read(name string) string {
	m.t.Helper()
	text, err := os.ReadFile(m.root + name)
	m.must(err)
	return string(text)
}

// sh runs a script as the machine's administrator and returns what it prints.
func (m *machine) sh(script string) string {
	m.t.Helper()
	cmd := exec.CommandContext(m.t.Context(), "chroot", m.root, "/bin/bash", "-euo", "pipefail", "-c", "umask 022; cd /root; "+script)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C"}
	var errors bytes.Buffer
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		m.t.Fatalf("%s: %v\n%s%s", script, err, out, errors.String())
	}
	if errors.Len() > 0 {
		m.t.Logf("%s: %s", script, errors.String())
	}
	return strings.TrimSpace(string(out))
}

// has reports whether the machine has a file or directory.
func (m *machine) has(name string) bool {
	_, err := os.Lstat(m.root + name)
	return err == nil
}

// traces are the files and directories that the machine has and had not, without dpkg's own.
func (m *machine) traces() (out []string) {
	m.t.Helper()
	m.must(filepath.WalkDir(m.wrote, func(path string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(path, m.wrote)
		own := slices.ContainsFunc([]string{"/var/lib/dpkg", "/var/log/dpkg.log", "/var/cache/man", "/var/cache/ldconfig", "/usr/local/bin/systemctl", "/root"},
			func(p string) bool { return name == p || strings.HasPrefix(name, p+"/") })
		if info, ierr := d.Info(); err != nil || own || ierr != nil || info.Mode()&fs.ModeCharDevice != 0 { // a device stands for what was removed
			return errors.Join(err, ierr)
		}
		if _, lerr := os.Lstat(name); name == "" || d.IsDir() && lerr == nil {
			return nil // a directory of this machine in which something was written
		}
		out = append(out, name)
		return nil
	}))
	return out
}
