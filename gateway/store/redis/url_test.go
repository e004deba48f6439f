package redis_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/auth/authtest"
	"portcullis/gateway/call"
	"portcullis/gateway/e2e"
	"portcullis/gateway/limit"
	"portcullis/gateway/store/redis"
)

func TestAddresses(t *testing.T) {
	for _, url := range []string{
		"redis://localhost", "redis://localhost:6380/3", "rediss://user:pa%40ss@redis.example.com", "redis://:password@10.0.0.1:6379",
		"redis+sentinel://a:26379,b,c:26380/mymaster", "rediss+sentinel://u:p@a,b/mymaster/2", "redis+cluster://a,b,c", "rediss+cluster://[::1]:7000,[::2]",
	} {
		if _, err := redis.Open(redis.Config{URL: call.Secret(url)}); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, url := range []string{
		"", "localhost:6379", "http://localhost", "redis://", "redis://a,b", "redis://a:port", "redis://a/x", "redis://a/-1", "redis+sentinel://a,b",
		"redis+cluster://a/1", "redis://secretword@a", "redis://u:%zz@a", "redis://a?db=1", "redis://a:99999", "redis+other://a",
	} {
		if _, err := redis.Open(redis.Config{URL: call.Secret(url)}); err == nil || strings.Contains(err.Error(), "secretword") {
			t.Errorf("%s: got %v, want what is wrong, without the address", url, err)
		}
	}
	if _, err := redis.Open(redis.Config{URL: "redis://a", CA: "ca.pem"}); err == nil {
		t.Error("a CA without TLS is taken")
	}
}

// TestTLSAndACL: over TLS with a certificate of the gateway's own, as a user who may touch
// the gateway's keys alone.
func TestTLSAndACL(t *testing.T) {
	dir, ca, other := t.TempDir(), authtest.NewCA("redis"), authtest.NewCA("other")
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	serverCert, serverKey := ca.Server().PEM()
	clientCert, clientKey := ca.Client("gateway", nil).PEM()
	roots := file("ca.pem", ca.PEM())
	port := freePort(t)
	server(t, "--tls-cert-file", file("s.pem", serverCert), "--tls-key-file", file("s.key", serverKey), "--tls-ca-cert-file", roots,
		"--tls-auth-clients", "yes", "--tls-port", port,
		"--aclfile", file("users.acl", []byte("user default off\nuser gateway on >obviously-fake ~test:* +@all -@dangerous -@admin\n")))
	c := redis.Config{
		URL: call.Secret("rediss://gateway:obviously-fake@127.0.0.1:" + port), Prefix: "test",
		CA: roots, Cert: file("c.pem", clientCert), Key: file("c.key", clientKey),
	}
	take := func(c redis.Config) error {
		s, err := redis.Open(c)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Spend(limit.Key{Caller: "a"}, limit.Charge{Cost: 1, Burst: 10, Interval: time.Second}, time.Time{})
		return err
	}
	if err := take(c); err != nil {
		t.Error(err)
	}
	for what, change := range map[string]func(*redis.Config){
		"a wrong password":       func(c *redis.Config) { c.URL = call.Secret("rediss://gateway:wrong@127.0.0.1:" + port) },
		"another authority":      func(c *redis.Config) { c.CA = file("other.pem", other.PEM()) },
		"no certificate":         func(c *redis.Config) { c.Cert, c.Key = "", "" },
		"keys that are not ours": func(c *redis.Config) { c.Prefix = "somebody-else" },
	} {
		bad := c
		if change(&bad); take(bad) == nil {
			t.Errorf("%s: it works", what)
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// TestCluster: one node with all slots is a cluster, with the rules of one about keys.
func TestCluster(t *testing.T) {
	r := server(t, "--cluster-enabled", "yes")
	out, err := exec.CommandContext(t.Context(), "redis-cli", "-u", r.URL(), "cluster", "addslotsrange", "0", "16383").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s := open(t, "redis+cluster://"+r.Addr)
	e2e.Eventually(t, "a cluster that takes charges", func() bool {
		_, err := s.Spend(limit.Key{Caller: "a"}, limit.Charge{Cost: 1, Burst: 1000, Interval: time.Second}, time.Time{})
		return err == nil
	})
}
