package main

import (
	"archive/tar"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// TestRelease: two releases of one source from two directories have the same bytes, the
// checksums hold and are signed, and the image and the deb have what they promise.
func TestRelease(t *testing.T) {
	key, public := signingKey(t)
	here, there := made(t, key), made(t, key)
	sums := read(t, here, sumsFile)
	if other := read(t, there, sumsFile); sums != other {
		t.Errorf("two releases differ:\n%s\n%s", sums, other)
	}
	sig, err := base64.StdEncoding.DecodeString(strings.TrimSpace(read(t, here, sumsFile+".sig")))
	must(t, err)
	if !ed25519.Verify(public, []byte(sums), sig) {
		t.Error("the signature of the checksums does not hold")
	}
	for line := range strings.Lines(sums) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if got := sha256.Sum256([]byte(read(t, here, name))); hex.EncodeToString(got[:]) != sum {
			t.Errorf("%s: the checksum does not hold", name)
		}
	}
	for _, end := range []string{".tar.gz", ".deb", ".rpm", ".cdx.json", "provenance.intoto.json"} {
		if !strings.Contains(sums, end+"\n") {
			t.Errorf("nothing ends in %s:\n%s", end, sums)
		}
	}
	if !strings.Contains(read(t, here, only(t, here, "*.cdx.json")), "pkg:golang/github.com/open-policy-agent/opa@") {
		t.Error("the bill of materials does not name OPA")
	}
	holds(t, filepath.Join(here, "image-"+runtime.GOARCH+".tar"))
	installs(t, filepath.Join(here, only(t, here, "*.deb")))
}

// made makes a release of a copy of the project in a directory of its own.
func made(t *testing.T, key string) string {
	t.Helper()
	dir := t.TempDir()
	root := filepath.Join(dir, "source")
	if out, err := exec.Command("git", "clone", "-q", "../..", root).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out := filepath.Join(dir, "dist")
	must(t, run(t.Context(), []string{"release", "--root", root, "--out", out, "--arch", runtime.GOARCH, "--sign-key", key}, io.Discard))
	return out
}

// holds checks that an image runs as nobody, and has a program that runs and nothing else
// that does.
func holds(t *testing.T, file string) {
	t.Helper()
	img, err := tarball.ImageFromPath(file, nil)
	must(t, err)
	c, err := img.ConfigFile()
	must(t, err)
	if c.Config.User != "65532:65532" || !slices.Equal(c.Config.Entrypoint, []string{"/portcullis"}) {
		t.Errorf("got %+v", c.Config)
	}
	layers, err := img.Layers()
	must(t, err)
	b, err := layers[0].Uncompressed()
	must(t, err)
	root := t.TempDir()
	r := tar.NewReader(b)
	for h, err := r.Next(); err == nil; h, err = r.Next() {
		to := filepath.Join(root, h.Name)
		if h.Typeflag == tar.TypeDir {
			must(t, os.MkdirAll(to, 0o755))
			continue
		}
		body, err := io.ReadAll(r)
		must(t, err)
		must(t, os.WriteFile(to, body, os.FileMode(h.Mode)))
		if h.Mode&0o111 != 0 && h.Name != "portcullis" {
			t.Errorf("%s can be run", h.Name)
		}
	}
	if n := bytes.Count([]byte(read(t, root, "etc/ssl/certs/ca-certificates.crt")), []byte("BEGIN CERTIFICATE")); n < 100 {
		t.Errorf("%d certificate authorities", n)
	}
	if out, err := exec.Command(filepath.Join(root, "portcullis"), "--version").CombinedOutput(); err != nil || !strings.Contains(string(out), "portcullis 0.0.0") {
		t.Errorf("%v\n%s", err, out)
	}
}

// installs looks into a deb with Debian's own program.
func installs(t *testing.T, file string) {
	t.Helper()
	out, err := exec.Command("dpkg-deb", "--contents", file).CombinedOutput()
	must(t, err)
	for _, want := range []string{"./usr/bin/portcullis", "./lib/systemd/system/portcullis.service", "./etc/portcullis/portcullis.toml"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "logrotate") {
		t.Errorf("the gateway and logrotate would both rotate the logs:\n%s", out)
	}
	out, err = exec.Command("dpkg-deb", "--info", file).CombinedOutput()
	must(t, err)
	for _, want := range []string{"Package: portcullis", "conffiles", "preinst", "postinst", "prerm", "postrm"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
}

func signingKey(t *testing.T) (file string, public ed25519.PublicKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	must(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	file = filepath.Join(t.TempDir(), "key.pem")
	must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	return file, public
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	must(t, err)
	return string(b)
}

func only(t *testing.T, dir, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	must(t, err)
	if len(files) != 1 {
		t.Fatalf("%s: %v", pattern, files)
	}
	return filepath.Base(files[0])
}

// TestMistakes: what cannot be built is said before anything is.
func TestMistakes(t *testing.T) {
	for _, args := range [][]string{nil, {"publish"}, {"image", "--arch", "riscv"}, {"image", "--root", t.TempDir()}, {"release", "--no-such"}, {"packages", "--number", "next"}} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%v: accepted", args)
		}
	}
}

// TestLaterVersionsSortBehind: a package of a later commit is an upgrade of one of an earlier
// commit, before the first tag, between tags and at one.
func TestLaterVersionsSortBehind(t *testing.T) {
	dir := t.TempDir()
	git := func(args ...string) {
		c := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	git("init", "-q")
	last := "0"
	for i, tag := range []string{"", "", "unrelated", "v0.1.0-rc.1", "", "v0.1.0", "", "", "v0.2.0"} {
		git("commit", "-q", "--allow-empty", "-m", strings.Repeat("x", i+1))
		if tag != "" {
			git("tag", tag)
		}
		o := options{root: dir}
		must(t, o.numbered(t.Context()))
		if want := strings.TrimPrefix(tag, "v"); want != tag && o.version != want {
			t.Errorf("at %s it is %s", tag, o.version)
		}
		version := strings.Replace(o.version, "-", "~", 1) // as a package has it
		if err := exec.Command("dpkg", "--compare-versions", last, "lt", version).Run(); err != nil {
			t.Errorf("%s does not sort before %s: %v", last, version, err)
		}
		last = version
	}
}
