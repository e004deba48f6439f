package callers_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/callers"
	"portcullis/gateway/vault/tokencache"
	"portcullis/gateway/vault/wire"
)

// holding is a Vault that holds policies, and a registry in front of it whose callers have a
// policy of a length.
func holding(length int, asked *int) (map[string]string, *callers.Registry) {
	held := map[string]string{}
	send := func(_ context.Context, r wire.Request, a *wire.Answer) error {
		reply := `{"request_id":"1","auth":{"client_token":"t","accessor":"a","lease_duration":90}}`
		if name, ok := strings.CutPrefix(r.Path, "sys/policies/acl/"); ok {
			var body struct {
				Policy string `json:"policy"`
			}
			if r.Method == wire.Put {
				_ = json.Unmarshal(r.Body, &body)
				held[name] = body.Policy
			}
			reply = fmt.Sprintf(`{"request_id":"1","data":{"policy":%q}}`, held[name])
		}
		if a == nil {
			return nil
		}
		return json.Unmarshal([]byte(reply), a)
	}
	return held, callers.New(callers.Config{
		Enabled: true, AsOf: func() string { return "1" },
		PolicyFor: func(c *call.Caller, _ string) (callers.Policies, error) {
			*asked++
			return callers.Policies{Subject: c.Subject + strings.Repeat(" of its own", length/11), Additional: c.Subject + strings.Repeat(" by its role", length/12)}, nil
		},
	}, callers.Backend{Send: send, Timeout: time.Minute, RegisterToken: func(context.Context, string, tokencache.Token) error { return nil }})
}

// TestAPolicyThatVaultHasLostIsWrittenAgain: although what it says is not kept.
func TestAPolicyThatVaultHasLostIsWrittenAgain(t *testing.T) {
	asked := 0
	held, r := holding(100, &asked)
	c := &call.Caller{Subject: "agent"}
	source := r.Of(c).TokenSource(c, "", false)
	get := func(wantAsked int) {
		t.Helper()
		source.Drop("t")
		if _, err := source.Token(t.Context()); err != nil || asked != wantAsked {
			t.Errorf("%v, asked %d times what the caller may, want %d", err, asked, wantAsked)
		}
		for name, text := range held {
			if !strings.HasPrefix(text, "agent ") {
				t.Errorf("%s says %q", name, text)
			}
		}
	}
	get(1)
	get(1)
	if len(held) != 2 {
		t.Fatalf("Vault holds %v", held)
	}
	for name := range held {
		held[name] = "another text"
	}
	get(2)
}

// TestACallerIsSmall: as many callers as there are cost memory, and their policies are the
// longest of what is known of them.
func TestACallerIsSmall(t *testing.T) {
	const many, most = 1000, 2 << 10
	asked := 0
	held, r := holding(8<<10, &asked)
	use := func() uint64 {
		clear(held)
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := use()
	for i := range many {
		c := &call.Caller{Subject: fmt.Sprintf("agent-%d", i)}
		if _, err := r.Of(c).TokenSource(c, "", false).Token(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if each := (int64(use()) - int64(before)) / many; each > most {
		t.Errorf("a caller takes %d bytes, want at most %d", each, most)
	}
	runtime.KeepAlive(r)
}
