package callers

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/tokencache"
	"portcullis/gateway/vault/wire"
)

// TestReconcilingLeavesWhatIsBeingWritten: an engine that is used first while the caller is
// looked after keeps its policy, whoever gets the lock first.
func TestReconcilingLeavesWhatIsBeingWritten(t *testing.T) {
	var held sync.Map
	var waits atomic.Bool
	var once sync.Once
	entered, goOn, looked := make(chan bool), make(chan bool), make(chan bool)
	send := func(_ context.Context, r wire.Request, a *wire.Answer) error {
		reply := `{"request_id":"1","data":{"policy":""},"auth":{"client_token":"t","accessor":"a","lease_duration":90}}`
		switch name := strings.TrimPrefix(r.Path, "sys/policies/acl/"); {
		case r.Method == wire.Put:
			held.Store(name, true)
		case r.Method == wire.Delete:
			held.Delete(name)
		case waits.Load() && name == "mcp-agent-x+kv":
			entered <- true
			<-goOn
		}
		if a == nil {
			return nil
		}
		return json.Unmarshal([]byte(reply), a)
	}
	r := New(Config{
		Enabled: true, AsOf: func() string {
			if waits.Load() {
				once.Do(func() { close(looked) })
			}
			return "1"
		},
		PolicyFor: func(_ *call.Caller, engine string) (Policies, error) { return Policies{Subject: engine}, nil },
	}, Backend{Send: send, Timeout: time.Minute, RegisterToken: func(context.Context, string, tokencache.Token) error { return nil }})
	c := &call.Caller{Subject: "x"}
	s := r.Of(c)
	if _, err := s.TokenSource(c, "kv", false).Token(t.Context()); err != nil {
		t.Fatal(err)
	}
	waits.Store(true)
	done := make(chan error)
	go func() { done <- s.syncPolicies(context.Background(), s.tokensOf(c, "kv")) }() // has the lock
	<-entered
	go func() { done <- s.ReconcilePolicies(context.Background()) }()
	<-looked
	for range 1000 { // until it waits for the lock
		runtime.Gosched()
	}
	for _, p := range s.policiesOf(s.assignTokenSet(c, "pki")) { // as whoever gets the lock before it
		if err := s.writePolicy(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	goOn <- true
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if _, ok := held.Load("mcp-agent-x+pki"); !ok {
		t.Error("the policy of a token that is being made has gone")
	}
}
