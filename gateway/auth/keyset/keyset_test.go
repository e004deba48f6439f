package keyset_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/auth/authtest"
	"portcullis/gateway/auth/jose"
	"portcullis/gateway/auth/keyset"
	"portcullis/gateway/auth/rule"
)

// clock is a time that tests set.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func issuer(t *testing.T, keys ...authtest.Key) *authtest.Issuer {
	t.Helper()
	i := authtest.NewIssuer(keys...)
	t.Cleanup(i.Close)
	return i
}

func source(t *testing.T, o keyset.Options) *keyset.Source {
	t.Helper()
	if o.CacheFor == 0 {
		o.CacheFor, o.StaleFor = time.Minute, time.Hour
	}
	s, err := keyset.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func token(t *testing.T, k authtest.Key) *jose.Token {
	t.Helper()
	tok, err := jose.Parse(k.Sign(authtest.Claims("bot", nil)))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestAnUnknownKeyIsFetched(t *testing.T) {
	old, next := authtest.NewKey("ES256", "old"), authtest.NewKey("ES256", "next")
	i := issuer(t, old)
	s := source(t, keyset.Options{URL: i.JWKSURL()})
	if _, _, err := s.Verify(t.Context(), token(t, old), keyset.Patient); err != nil {
		t.Fatal(err)
	}
	i.Publish(next)
	if _, _, err := s.Verify(t.Context(), token(t, next), keyset.Patient); err != nil {
		t.Errorf("the new key: %v", err)
	}
	if _, _, err := s.Verify(t.Context(), token(t, old), keyset.Patient); !errors.Is(err, rule.KeyID) {
		t.Errorf("the old key after its removal: got %v", err)
	}
}

func TestDiscovery(t *testing.T) {
	k := authtest.NewKey("ES256", "k")
	i := issuer(t, k)
	s := source(t, keyset.Options{Issuer: i.URL})
	if _, _, err := s.Verify(t.Context(), token(t, k), keyset.Patient); err != nil {
		t.Error(err)
	}
	other := source(t, keyset.Options{Issuer: i.URL + "/"}) // not the name that the document gives
	if _, _, err := other.Verify(t.Context(), token(t, k), keyset.Patient); !errors.Is(err, rule.KeyID) {
		t.Errorf("another issuer's document: got %v", err)
	}
}

func TestAStormOfUnknownKeysIsOneFetch(t *testing.T) {
	i := issuer(t, authtest.NewKey("ES256", "k"))
	arrived := make(chan struct{})
	release := make(chan struct{})
	var once sync.Once
	i.Answer(func(w http.ResponseWriter, _ *http.Request) {
		once.Do(func() { close(arrived) })
		<-release
		http.Error(w, "busy", http.StatusServiceUnavailable)
	})
	s := source(t, keyset.Options{URL: i.JWKSURL()})
	forger := authtest.NewKey("ES256", "")
	var wg sync.WaitGroup
	for n := range 100 {
		forger.KID = fmt.Sprintf("made-up-%d", n)
		tok := token(t, forger)
		wg.Go(func() {
			if _, _, err := s.Verify(t.Context(), tok, keyset.Patient); !errors.Is(err, rule.KeyID) {
				t.Errorf("got %v, want %s", err, rule.KeyID)
			}
		})
		if n == 0 {
			<-arrived
		}
	}
	close(release)
	wg.Wait()
	if n := i.Fetches.Load(); n > 2 {
		t.Errorf("got %d fetches, want one, or two if a call came after it", n)
	}
}

// TestAnIssuerInTrouble takes the issuer away in every way. Known keys go on for
// the configured time, and no answer waits for the issuer longer than Patience.
func TestAnIssuerInTrouble(t *testing.T) {
	k := authtest.NewKey("ES256", "k")
	elsewhere := issuer(t, authtest.NewKey("ES256", "not-ours"))
	for name, answer := range map[string]http.HandlerFunc{
		"error":   func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "x", http.StatusInternalServerError) },
		"garbage": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"no set":  func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"error":"x"}`) },
		"symmetric keys": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"keys":[{"kty":"oct","kid":"k","k":"AAAA"}]}`)
		},
		"far too much": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat(" ", 2<<20)+`{"keys":[]}`) },
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.JWKSURL(), http.StatusFound)
		},
		"hangs up": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"half an answer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"keys":[]}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := issuer(t, k)
			now := &clock{t: time.Now()}
			s := source(t, keyset.Options{URL: i.JWKSURL(), CacheFor: time.Minute, StaleFor: time.Hour, Now: now.now})
			s.Refresh(t.Context())
			i.Answer(answer)
			now.add(60 * time.Minute)
			s.Refresh(t.Context())
			if _, _, err := s.Verify(t.Context(), token(t, k), keyset.Patient); err != nil {
				t.Errorf("within the time: %v", err)
			}
			now.add(2 * time.Minute)
			if s.Current(now.now()).Len() != 0 {
				t.Error("after the time the keys still count")
			}
			i.Answer(nil)
			if _, _, err := s.Verify(t.Context(), token(t, k), keyset.Patient); err != nil {
				t.Errorf("with the issuer back: %v", err)
			}
		})
	}
}

// transport answers without a network, so that time can be the test's own.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestASlowIssuerKeepsNobodyWaiting(t *testing.T) {
	k := authtest.NewKey("ES256", "k")
	known, unknown := token(t, k), token(t, authtest.NewKey("ES256", "unknown"))
	synctest.Test(t, func(t *testing.T) {
		var slow atomic.Bool
		s := source(t, keyset.Options{URL: "https://issuer.test/jwks.json", Client: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
			if slow.Load() {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(authtest.JWKS(k)))}, nil
		})}})
		s.Refresh(t.Context())
		slow.Store(true)
		start := time.Now()
		if _, _, err := s.Verify(t.Context(), unknown, keyset.Patient); !errors.Is(err, rule.KeyID) {
			t.Errorf("an unknown key: got %v", err)
		}
		if d := time.Since(start); d != keyset.Patience || d >= time.Second {
			t.Errorf("it took %v, want %v", d, keyset.Patience)
		}
		start = time.Now()
		if _, _, err := s.Verify(t.Context(), known, keyset.Patient); err != nil || time.Since(start) != 0 {
			t.Errorf("a known key while a fetch hangs: %v after %v", err, time.Since(start))
		}
		<-time.After(time.Minute) // the fetch gives up
	})
}

// answering is a source whose issuer has no keys, and counts how often it is asked.
func answering(t *testing.T, fetches *atomic.Int64) *keyset.Source {
	return source(t, keyset.Options{URL: "https://issuer.test/jwks.json", Client: &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) {
		fetches.Add(1)
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{"keys":[]}`))}, nil
	})}})
}

func TestUnknownKeysInARowAreFewFetches(t *testing.T) {
	tok := token(t, authtest.NewKey("ES256", "unknown"))
	synctest.Test(t, func(t *testing.T) {
		var fetches atomic.Int64
		s := answering(t, &fetches)
		s.Refresh(t.Context())
		start := time.Now()
		for range 21 {
			if _, _, err := s.Verify(t.Context(), tok, keyset.Patient); !errors.Is(err, rule.KeyID) {
				t.Fatalf("got %v", err)
			}
		}
		if d := time.Since(start); d < 20*keyset.Pause {
			t.Errorf("got %d fetches in %v, want one per %v", fetches.Load(), d, keyset.Pause)
		}
	})
}

func TestAKeyIDThatMeansTwoKeysMeansNone(t *testing.T) {
	a, b := authtest.NewKey("ES256", "same"), authtest.NewKey("ES256", "same")
	set, _, err := keyset.Parse(authtest.JWKS(a, b))
	if err != nil {
		t.Fatal(err)
	}
	if k, err := set.Verify(token(t, a)); !errors.Is(err, rule.KeyID) {
		t.Errorf("got %v, %v", k, err)
	}
}

func TestRunFetchesAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fetches atomic.Int64
		var broken atomic.Bool
		s := source(t, keyset.Options{URL: "https://issuer.test/jwks.json", CacheFor: time.Minute, Client: &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) {
			fetches.Add(1)
			if broken.Load() {
				return nil, errors.New("no route")
			}
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{"keys":[]}`))}, nil
		})}})
		ctx, cancel := context.WithCancel(t.Context())
		go s.Run(ctx)
		<-time.After(10*time.Minute - time.Second)
		if n := fetches.Load(); n != 10 {
			t.Errorf("got %d fetches in 10 minutes, want 10", n)
		}
		broken.Store(true)
		<-time.After(time.Minute)
		if n := fetches.Load(); n < 20 {
			t.Errorf("got %d fetches, want more while they go wrong", n)
		}
		cancel()
	})
}

func TestAnEmptiedSetIsBelieved(t *testing.T) {
	k := authtest.NewKey("ES256", "k")
	i := issuer(t, k)
	s := source(t, keyset.Options{URL: i.JWKSURL()})
	s.Refresh(t.Context())
	i.Publish()
	s.Refresh(t.Context())
	if n := s.Current(time.Now()).Len(); n != 0 {
		t.Errorf("got %d keys, want none", n)
	}
}

func TestTheSameKeysAreTheSameSet(t *testing.T) {
	k := authtest.NewKey("ES256", "k")
	i := issuer(t, k)
	s := source(t, keyset.Options{URL: i.JWKSURL()})
	s.Refresh(t.Context())
	before := s.Current(time.Now())
	i.Answer(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"now":%d,"keys":%s}`, time.Now().UnixNano(), strings.TrimSuffix(strings.TrimPrefix(string(authtest.JWKS(k)), `{"keys":`), "}"))
	})
	s.Refresh(t.Context())
	if s.Current(time.Now()) != before || i.Fetches.Load() != 2 {
		t.Error("a fetch of the same keys made another set")
	}
}

func TestFileIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jwks.json")
	write := func(data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old, next := authtest.NewKey("ES256", "old"), authtest.NewKey("ES256", "next")
	write(authtest.JWKS(old))
	s := source(t, keyset.Options{File: path})
	write([]byte("{"))
	if _, err := s.Reload(); err == nil {
		t.Error("a broken file was accepted")
	}
	if _, _, err := s.Verify(t.Context(), token(t, old), keyset.Patient); err != nil {
		t.Errorf("after a broken file: %v", err)
	}
	write(authtest.JWKS(next))
	if changed, err := s.Reload(); err != nil || !changed {
		t.Errorf("got %v, %v", changed, err)
	}
	if _, _, err := s.Verify(t.Context(), token(t, old), keyset.Patient); !errors.Is(err, rule.KeyID) {
		t.Errorf("the old key after its removal: got %v", err)
	}
	if _, err := keyset.New(keyset.Options{File: path + ".none"}); err == nil {
		t.Error("a missing file is no problem at start")
	}
}

func TestAddressesAreHTTPSOrLocal(t *testing.T) {
	for address, want := range map[string]bool{
		"https://issuer.test/jwks.json": true, "http://127.0.0.1:8080/jwks": true, "http://[::1]/jwks": true, "http://localhost/jwks": true,
		"http://issuer.test/jwks.json": false, "http://127.0.0.1.evil.test/": false, "file:///etc/passwd": false, "https://user@issuer.test/": false, "": false, "//x": false,
	} {
		if got := keyset.CheckURL(address) == nil; got != want {
			t.Errorf("%q: got %v, want %v", address, got, want)
		}
	}
}

func Example() {
	set, left, err := keyset.Parse([]byte(`{"keys":[
		{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
		{"kty":"oct","kid":"b","k":"c2VjcmV0"}
	]}`))
	fmt.Println(set.Len(), left, err)
	// Output:
	// 1 [key 2: a symmetric key] <nil>
}

// TestKeySetsAsOthersWriteThem: with a byte order mark, without key ids, and with the
// use that SPIFFE gives.
func TestKeySetsAsOthersWriteThem(t *testing.T) {
	k, other := authtest.NewKey("ES256", "id"), authtest.NewKey("ES256", "")
	bare := authtest.Key{Alg: "ES256", Private: k.Private}
	for name, c := range map[string]struct {
		set  []byte
		want error
	}{
		"a key twice":            {authtest.JWKS(k, k), nil},
		"byte order mark":        {append([]byte("\xef\xbb\xbf"), authtest.JWKS(k)...), nil},
		"one key without id":     {authtest.JWKS(bare), nil},
		"several without ids":    {authtest.JWKS(other, bare), nil},
		"use of SPIFFE":          {bytes.ReplaceAll(authtest.JWKS(k), []byte(`"sig"`), []byte(`"jwt-svid"`)), nil},
		"none of several":        {authtest.JWKS(other), rule.Signature},
		"one without id of some": {authtest.JWKS(bare, authtest.NewKey("ES256", "x")), rule.KeyID},
	} {
		set, _, err := keyset.Parse(c.set)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := set.Verify(token(t, k)); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// TestTheCauseOfMissingKeysIsSaid: by the refusal's cause, which the log shows.
func TestTheCauseOfMissingKeysIsSaid(t *testing.T) {
	k := authtest.NewKey("ES256", "id")
	i := issuer(t, k)
	for name, c := range map[string]struct {
		o    keyset.Options
		want string
	}{
		"discovery of another issuer": {keyset.Options{Issuer: i.URL + "/"}, `configure the issuer exactly as the document writes it`},
		"no key set":                  {keyset.Options{URL: i.URL + "/nothing"}, "status 404"},
	} {
		if _, _, err := source(t, c.o).Verify(t.Context(), token(t, k), keyset.Patient); !errors.Is(err, rule.KeyID) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}
