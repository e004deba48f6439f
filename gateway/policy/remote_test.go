package policy_test

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/auth/authtest"
	"portcullis/gateway/policy"
	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/remote"
)

// pair is a key pair for archives.
func pair(t testing.TB) (private string, keys bundle.Keys) {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	rawPriv, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	rawPub, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	private = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: rawPriv}))
	return private, bundle.Keys{"k1": {PEM: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: rawPub})), Algorithm: "EdDSA"}}
}

// service is a bundle service: a file server with an ETag.
type service struct {
	*httptest.Server
	mu        sync.Mutex // guards the fields below
	archive   []byte
	status    int // answered instead, 0 for none
	token     string
	downloads int
	asked     int
}

func newService(t testing.TB) *service {
	t.Helper()
	s := &service{}
	s.Server = httptest.NewTLSServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	etag := fmt.Sprintf(`"%x"`, len(s.archive)*31+int(s.archive[len(s.archive)/2]))
	switch {
	case r.Header.Get("Authorization") != "Bearer "+s.token:
		w.WriteHeader(http.StatusUnauthorized)
	case s.status != 0:
		w.WriteHeader(s.status)
	case r.Header.Get("If-None-Match") == etag:
		w.WriteHeader(http.StatusNotModified)
	default:
		s.downloads++
		w.Header().Set("ETag", etag)
		_, _ = w.Write(s.archive)
	}
}

// serve puts a policy up, signed.
func (s *service) serve(t testing.TB, data string, sequence int64, key string) {
	t.Helper()
	b, err := bundle.Read(team(t, map[string]string{"data.yaml": data}), nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := bundle.Sign(b, sequence, "k1", bundle.Key{PEM: key, Algorithm: "EdDSA"})
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.archive = raw
	s.mu.Unlock()
}

func (s *service) answer(status int) {
	s.mu.Lock()
	s.status = status
	s.mu.Unlock()
}

// config trusts the service and gives it a token.
func (s *service) config(t testing.TB, keys bundle.Keys) policy.Config {
	t.Helper()
	dir := t.TempDir()
	ca, token := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "token")
	pemOf := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	for name, text := range map[string][]byte{ca: pemOf, token: []byte("first\n")} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.token = "first"
	return policy.Config{Remote: remote.Config{URL: s.URL + "/bundles/gateway.tar.gz?key=canary-query", TokenFile: token, CA: ca, Keys: keys}}
}

// A bundle service rolls policies forward, is asked for what is new alone, and cannot
// bring an old policy back, nor one that is not signed; without it the last good one
// serves.
func TestABundleService(t *testing.T) {
	key, keys := pair(t)
	s := newService(t)
	s.serve(t, granting, 5, key)
	c := s.config(t, keys)
	e := open(t, c)
	allows := func(want bool) {
		t.Helper()
		if d := e.Decide(t.Context(), bind(t, agent(t), "db.issue_creds", `{"role":"readonly"}`)); d.Allow != want {
			t.Errorf("allowed %v, want %v", d.Allow, want)
		}
	}
	reload := func(refused string) {
		t.Helper()
		err := e.Reload(t.Context())
		if refused == "" && err != nil || refused != "" && (err == nil || !strings.Contains(err.Error(), refused)) {
			t.Errorf("got %v, want %q", err, refused)
		}
		if err != nil && strings.Contains(err.Error(), "canary-query") {
			t.Errorf("the query of the URL is told: %v", err)
		}
	}
	allows(true)
	reload("")
	if s.downloads != 1 {
		t.Errorf("%d downloads of one archive", s.downloads)
	}
	s.serve(t, refusing, 6, key)
	reload("")
	allows(false)

	s.serve(t, granting, 5, key)
	reload("below 6")
	allows(false)
	other, _ := pair(t)
	s.serve(t, granting, 7, other)
	reload("key k1")
	allows(false)
	s.serve(t, `{grants: 7}`, 8, key)
	reload("grants")
	allows(false)
	s.answer(http.StatusInternalServerError)
	reload("500")
	if st := e.Status(); !st.Stale || st.LastError == "" {
		t.Errorf("without the service: %+v", st)
	}
	allows(false)
	s.answer(0)
	s.serve(t, granting, 9, key)
	reload("")
	allows(true)
	if st := e.Status(); st.Stale {
		t.Errorf("after the service came back: %+v", st)
	}
}

// The token is read at every fetch, so that one that was renewed is used.
func TestABundleServiceIsGivenTheNewestToken(t *testing.T) {
	key, keys := pair(t)
	s := newService(t)
	s.serve(t, granting, 1, key)
	c := s.config(t, keys)
	e := open(t, c)
	s.mu.Lock()
	s.token = "second"
	s.mu.Unlock()
	if err := e.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "401") || strings.Contains(err.Error(), "first") {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(c.Remote.TokenFile, []byte("second"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := e.Reload(t.Context()); err != nil {
		t.Error(err)
	}
}

// A service that is away at the start leaves the last good policy of an earlier run,
// and its sequence.
func TestABundleServiceThatIsAwayAtTheStart(t *testing.T) {
	key, keys := pair(t)
	s := newService(t)
	s.serve(t, granting, 5, key)
	c := s.config(t, keys)
	c.LastGood = filepath.Join(t.TempDir(), "last-good.json")
	revision := open(t, c).Revision()
	s.answer(http.StatusBadGateway)
	e := open(t, c)
	if st := e.Status(); st.Revision != revision || !st.Stale {
		t.Errorf("got %+v, want revision %s", st, revision)
	}
	s.answer(0)
	s.serve(t, refusing, 4, key)
	if err := e.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "below 5") {
		t.Errorf("an older archive after a restart: %v", err)
	}
	c.LastGood, c.Catalogue = "", catalogue(t)
	s.answer(http.StatusBadGateway)
	if _, err := policy.Open(c); err == nil {
		t.Error("starts without any policy")
	}
}

// A service cannot send the token on to somebody else.
func TestABundleServiceMaySendOnWithinItselfAlone(t *testing.T) {
	_, keys := pair(t)
	told := false
	thief := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { told = true }))
	defer thief.Close()
	s := newService(t)
	s.archive = []byte("x")
	c := s.config(t, keys)
	s.Config.Handler = http.RedirectHandler(thief.URL, http.StatusFound)
	c.Catalogue = catalogue(t)
	if _, err := policy.Open(c); err == nil || !strings.Contains(err.Error(), "another host") || told {
		t.Errorf("got %v; the other host was asked: %v", err, told)
	}
}

func TestOnlySignedArchivesComeFromAService(t *testing.T) {
	if _, err := policy.Open(policy.Config{Catalogue: catalogue(t), Remote: remote.Config{URL: "https://bundles.example/x"}}); err == nil || !strings.Contains(err.Error(), "POLICY_KEY_ID") {
		t.Errorf("got %v", err)
	}
}

// Files that git is changing are not read until it is done.
func TestHalfAPullIsNotTaken(t *testing.T) {
	repo := t.TempDir()
	dir, lock := filepath.Join(repo, "policy"), filepath.Join(repo, ".git", "index.lock")
	for _, d := range []string{dir, filepath.Dir(lock)} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, "data.yaml", granting)
	cat := catalogue(t)
	synctest.Test(t, func(t *testing.T) {
		e, err := policy.Open(policy.Config{Dir: dir, Catalogue: cat, Poll: time.Second, Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		go e.Watch(t.Context())
		first := e.Revision()
		if err := os.WriteFile(lock, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		write(t, dir, "data.yaml", refusing)
		time.Sleep(5 * time.Second) // of the test's own clock: five looks
		synctest.Wait()
		if st := e.Status(); st.Revision != first || !strings.Contains(st.LastError, "git is changing") {
			t.Errorf("during the pull: %+v", st)
		}
		if err := os.Remove(lock); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if st := e.Status(); st.Revision == first || st.Stale {
			t.Errorf("after the pull: %+v", st)
		}
	})
}

// A service that says that it can is asked to hold its requests, and a change is active
// without waiting for the interval; the shadow is reloaded meanwhile.
func TestABundleServiceThatHoldsRequests(t *testing.T) {
	key, keys := pair(t)
	s := newService(t)
	s.serve(t, granting, 1, key)
	inner := s.Config.Handler
	held, changed := make(chan string, 100), make(chan struct{})
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.openpolicyagent.bundles")
		if prefer := r.Header.Get("Prefer"); strings.Contains(prefer, "wait=") {
			held <- prefer
			select {
			case <-changed:
			case <-r.Context().Done():
			}
		}
		inner.ServeHTTP(w, r)
	})
	c := s.config(t, keys)
	c.Interval, c.Remote.Wait = 2*time.Second, time.Hour
	c.Shadow = team(t, map[string]string{"data.yaml": granting})
	e := open(t, c)
	first := e.Revision()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); e.Watch(ctx) }()
	if got := <-held; got != "modes=snapshot;wait=3600" {
		t.Errorf("asked with %q", got)
	}
	write(t, c.Shadow, "data.yaml", refusing)
	if err := e.ReloadShadow(t.Context()); err != nil {
		t.Error(err)
	}
	s.serve(t, refusing, 2, key)
	close(changed)
	<-held // the next request comes when the answer to the one before has been taken
	if st := e.Status(); st.Revision == first || st.Stale {
		t.Errorf("after the change: %+v", st)
	}
	stop()
	<-done
}

// A service that wants a certificate is shown the one of POLICY_URL_CERT, as it is on
// disk at that time.
func TestABundleServiceThatWantsACertificate(t *testing.T) {
	key, keys := pair(t)
	ca, dir := authtest.NewCA("bundles"), t.TempDir()
	s := &service{}
	s.serve(t, granting, 1, key)
	s.Server = httptest.NewUnstartedServer(s)
	s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(), MinVersion: tls.VersionTLS12}
	s.StartTLS()
	t.Cleanup(s.Close)
	c := s.config(t, keys)
	c.Catalogue = catalogue(t)
	if _, err := policy.Open(c); err == nil {
		t.Error("a service that wants a certificate is content without one")
	}
	c.Remote.Cert, c.Remote.Key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	put := func(from *authtest.CA) {
		chain, private := from.Client("gateway", nil).PEM()
		write(t, dir, "cert.pem", string(chain))
		write(t, dir, "key.pem", string(private))
	}
	put(authtest.NewCA("somebody else"))
	if _, err := policy.Open(c); err == nil {
		t.Error("the certificate of somebody else is taken")
	}
	put(ca)
	e := open(t, c)
	s.serve(t, refusing, 2, key)
	if err := e.Reload(t.Context()); err != nil {
		t.Error(err)
	}
}
