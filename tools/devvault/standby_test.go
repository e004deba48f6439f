package main_test

import (
	"net/http"
	"testing"
	"time"
)

// The second node forwards what it is asked, and takes over when the first one
// goes; the first one comes back as the standby.
func TestStandby(t *testing.T) {
	first := start(t, "--standby", "127.0.0.1:0")
	second := *first
	second.Addr = first.Standby
	if second.Addr == "" || second.Addr == first.Addr {
		t.Fatalf("addresses %q and %q", first.Addr, second.Addr)
	}
	health := func(p *process, want int) {
		t.Helper()
		p.wantSoon(t, want, get("", "sys/health"))
	}
	health(first, http.StatusOK)
	health(&second, http.StatusTooManyRequests)
	second.putKV(t, "through", "1")
	first.wantKV(t, "through", "1")
	first.want(t, http.StatusNoContent, post("root", "sys/seal", object{}))
	health(first, http.StatusServiceUnavailable)
	health(&second, http.StatusOK)
	second.wantKV(t, "through", "1")
	first.want(t, http.StatusOK, post("", "sys/unseal", object{"key": first.UnsealKey}))
	health(first, http.StatusTooManyRequests)
	first.wantKV(t, "through", "1")
}

// wantSoon waits half a minute for the status.
func (p *process) wantSoon(t *testing.T, status int, c call) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 1500 {
		if got, _, err := p.send(c.token, c.method, c.path, c.body); err == nil && got == status {
			return
		}
		<-tick.C
	}
	t.Fatalf("%s: not %d within half a minute", c.path, status)
}
