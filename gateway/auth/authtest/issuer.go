package authtest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
)

// Issuer is an authorization server that publishes keys.
type Issuer struct {
	*httptest.Server
	Fetches atomic.Int64 // of the key set

	mu     sync.Mutex // guards the rest
	keys   []Key
	answer http.HandlerFunc // instead of the key set, nil for none
}

// NewIssuer starts an issuer on a free port. Close it.
func NewIssuer(keys ...Key) *Issuer {
	i := &Issuer{keys: keys}
	mux := http.NewServeMux()
	mux.HandleFunc("/jwks.json", i.serveKeys)
	mux.HandleFunc("/.well-known/openid-configuration", i.serveDiscovery)
	i.Server = httptest.NewServer(mux)
	return i
}

// JWKSURL is where the keys are.
func (i *Issuer) JWKSURL() string { return i.URL + "/jwks.json" }

// Publish replaces the keys.
func (i *Issuer) Publish(keys ...Key) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = keys
}

// Answer makes the issuer answer with h instead of its keys; nil ends that.
func (i *Issuer) Answer(h http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = h
}

func (i *Issuer) serveKeys(w http.ResponseWriter, r *http.Request) {
	i.Fetches.Add(1)
	i.mu.Lock()
	answer, body := i.answer, JWKS(i.keys...)
	i.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

func (i *Issuer) serveDiscovery(w http.ResponseWriter, r *http.Request) {
	_ = json.NewEncoder(w).Encode(map[string]string{"issuer": "http://" + r.Host, "jwks_uri": "http://" + r.Host + "/jwks.json"})
}
