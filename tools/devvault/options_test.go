package main_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	devvault "portcullis/tools/devvault"
)

func TestWrongUsage(t *testing.T) {
	cases := []struct {
		name string
		args []string
		want []string
	}{
		{"unknown flag", []string{"--nope"}, []string{"-nope"}},
		{"stray argument", []string{"stray"}, []string{"unexpected argument: stray"}},
		{"half of a pair", []string{"--tls-cert", "x"}, []string{"give both or none"}},
		{"missing certificate", []string{"--tls-cert", "x", "--tls-key", "y"}, []string{"open x: no such file"}},
		{"standby on files", []string{"--standby", "127.0.0.1:0", "--data", "x"}, []string{"--standby: both nodes are in memory"}},
		{"standby nowhere", []string{"--standby", "x"}, []string{"--standby: address x"}},
		{
			"all at once",
			[]string{"--listen", "x", "--root-token", "", "--log-level", "loud"},
			[]string{"--listen: address x", "--root-token: must not be empty", `unknown level "loud"`},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			if code := devvault.Run(c.args, &out, &errs); code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
			for _, want := range c.want {
				if !strings.Contains(errs.String(), want) {
					t.Errorf("got %q, want %q in it", errs.String(), want)
				}
			}
			if out.Len() > 0 {
				t.Errorf("standard output: %s", &out)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	var out, errs bytes.Buffer
	if code := devvault.Run([]string{"--help"}, &out, &errs); code != 0 || errs.Len() > 0 {
		t.Errorf("exit code %d, %s", code, &errs)
	}
	for _, want := range []string{"Examples:", "-postgres DSN", "-data directory"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %s", want, &out)
		}
	}
}

func TestBusyPort(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dir := filepath.Join(t.TempDir(), "data")
	var out, errs bytes.Buffer
	if code := devvault.Run([]string{"--listen", ln.Addr().String(), "--data", dir}, &out, &errs); code != 1 {
		t.Errorf("exit code %d, want 1: %s", code, &errs)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a start that cannot work left a directory")
	}
}

func TestSignalsStopItCleanly(t *testing.T) {
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			p := start(t)
			if err := p.cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if err := p.cmd.Wait(); err != nil {
				t.Errorf("got %v, want exit code 0: %s", err, &p.stderr)
			}
			for line := range strings.Lines(p.stderr.String()) {
				if !strings.Contains(line, " vault.activity: ") || !strings.Contains(line, "Vault is sealed") { // what Vault begins after its start
					t.Errorf("standard error: %s", line)
				}
			}
		})
	}
}

func TestHTTPS(t *testing.T) {
	cert, key, pool := selfSigned(t)
	p := start(t, "--tls-cert", cert, "--tls-key", key)
	if !strings.HasPrefix(p.Addr, "https://127.0.0.1:") {
		t.Errorf("address: got %s", p.Addr)
	}
	p.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	p.putKV(t, "a", "1")
	p.wantKV(t, "a", "1")
}

// selfSigned writes a certificate for 127.0.0.1 and its key.
func selfSigned(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return writePEM(t, "CERTIFICATE", der), writePEM(t, "PRIVATE KEY", pkcs8), pool
}

func writePEM(t *testing.T, kind string, der []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestProgressSpeaksAfterTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		now, stop := devvault.StartProgress(&out)
		<-time.After(1900 * time.Millisecond)
		synctest.Wait()
		if out.Len() > 0 {
			t.Errorf("too early: %s", &out)
		}
		now("unsealing")
		<-time.After(3 * time.Second)
		stop()
		if got, want := out.String(), "devvault: still unsealing (2 s)\ndevvault: still unsealing (4 s)\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
