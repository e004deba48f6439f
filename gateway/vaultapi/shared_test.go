package vaultapi_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
	"portcullis/gateway/store/redis"
	"portcullis/gateway/vaultapi"
)

// replicas are two gateways' sessions, kept in one Redis.
func replicas(t *testing.T, most int) (one, two *vaultapi.Sessions, r *stack.Redis) {
	t.Helper()
	r, err := stack.StartRedis(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	var out []*vaultapi.Sessions
	for range 2 {
		s, err := redis.Open(redis.Config{URL: call.Secret(r.URL()), Prefix: "test"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
		ended := make(chan struct{})
		go func() { defer close(ended); s.Run(ctx) }()
		t.Cleanup(func() { stop(); <-ended })
		tokens := s.NewTokens("vaultapi", most, 0)
		of := sessions(nil, nil)
		of.Shared = &vaultapi.Shared{Get: tokens.Get, Put: tokens.Put, Replace: tokens.Replace, Drop: tokens.Drop}
		out = append(out, of)
	}
	return out[0], out[1], r
}

func known(s *vaultapi.Sessions, token string) error {
	r := httptest.NewRequest("GET", "/v1/auth/token/lookup-self", nil)
	r.Header.Set("X-Vault-Token", token)
	_, err := s.Authenticate(r)
	return err
}

// TestSessionsOfReplicas holds sessions of one process and those of two replicas to the same:
// what one has begun the other knows, prolongs and ends; the caller's oldest makes room.
func TestSessionsOfReplicas(t *testing.T) {
	own := sessions(nil, nil)
	one, two, _ := replicas(t, 2)
	for name, at := range map[string][2]*vaultapi.Sessions{"process": {own, own}, "redis": {one, two}} {
		t.Run(name, func(t *testing.T) {
			c := &call.Caller{Subject: "agent"}
			begin := func(i int, ttl time.Duration) string {
				t.Helper()
				token, err := vaultapi.Begin(at[i], c, ttl)
				if err != nil {
					t.Fatal(err)
				}
				return token
			}
			first := begin(0, time.Minute)
			if err := known(at[1], first); err != nil {
				t.Fatalf("at the other: %v", err)
			}
			if left, err := vaultapi.Renew(at[1], first, time.Hour); err != nil || left < 59*time.Minute {
				t.Errorf("prolonged to %v, %v", left, err)
			}
			if err := vaultapi.Revoke(at[1], first); err != nil {
				t.Fatal(err)
			}
			for i, s := range at {
				if err := known(s, first); !call.Is(err, call.Unauthenticated) {
					t.Errorf("ended at the other, at %d: %v", i, err)
				}
			}
			if _, err := vaultapi.Renew(at[0], first, time.Hour); err == nil {
				t.Error("one that has ended was prolonged")
			}
			parent := begin(0, time.Minute)
			child, err := vaultapi.BeginWith(at[1], c, parent)
			if err != nil || known(at[0], child) != nil {
				t.Fatal(err, known(at[0], child))
			}
			if err := vaultapi.Revoke(at[1], parent); err != nil {
				t.Fatal(err)
			}
			if err := known(at[0], child); !call.Is(err, call.Unauthenticated) {
				t.Errorf("one outlives the session that it was begun with: %v", err)
			}
			short := begin(0, 50*time.Millisecond)
			e2e.Eventually(t, "ended by itself", func() bool { return known(at[1], short) != nil })
		})
	}
	c := &call.Caller{Subject: "many"}
	var tokens []string
	for i := range 4 {
		token, err := vaultapi.Begin([]*vaultapi.Sessions{one, two}[i%2], c, time.Duration(i+1)*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, token)
	}
	for i, token := range tokens {
		if err := known(one, token); (err == nil) != (i >= 2) {
			t.Errorf("session %d of 4, of which there is room for 2: %v", i, err)
		}
	}
	brief, err := vaultapi.Begin(one, c, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := known(two, brief); err != nil {
		t.Errorf("a new session that ends before the others: %v", err)
	}
}

// TestSessionsWithoutTheStore: none is known, because it may have been revoked, and none begun.
func TestSessionsWithoutTheStore(t *testing.T) {
	one, _, r := replicas(t, 2)
	token, err := vaultapi.Begin(one, &call.Caller{Subject: "agent"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := known(one, token); !call.Is(err, call.Overloaded) {
		t.Errorf("got %v", err)
	}
	if _, err := vaultapi.Begin(one, &call.Caller{Subject: "agent"}, 0); !call.Is(err, call.Overloaded) {
		t.Errorf("begun: %v", err)
	}
}

// TestASessionIsSealed: neither its token nor its caller can be read in the store, and what
// was written there past the gateway is no session.
func TestASessionIsSealed(t *testing.T) {
	kept := map[string][]byte{}
	s := sessions(nil, nil)
	s.Shared = &vaultapi.Shared{
		Get: func(_ context.Context, name string) ([]byte, error) { return kept[name], nil },
		Put: func(_ context.Context, _, name string, data []byte, _ time.Duration) (bool, error) {
			kept[name] = data
			return true, nil
		},
	}
	token, err := vaultapi.Begin(s, &call.Caller{Subject: "readable-agent", Tenant: "readable-tenant"}, 0)
	if err != nil || known(s, token) != nil {
		t.Fatal(err)
	}
	for name, data := range kept {
		if text := name + string(data); strings.Contains(text, "readable") || strings.Contains(text, token[4:]) || strings.Contains(token, name) {
			t.Errorf("kept as %q", text)
		}
		data[len(data)-1] ^= 1
	}
	if err := known(s, token); !call.Is(err, call.Unauthenticated) {
		t.Errorf("one that was changed: %v", err)
	}
}

// TestACallerComesBackWhole: every part of a caller survives the store, but for the sessions
// of a call, which each call has anew.
func TestACallerComesBackWhole(t *testing.T) {
	want := &call.Caller{Claims: map[string]any{"team": "x", "level": 3.5, "on": true, "list": []any{"a"}}}
	fill(t, reflect.ValueOf(want).Elem())
	want.Behalf = &call.Caller{Subject: "behalf"}
	raw, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got := &call.Caller{}
	if err := json.Unmarshal(raw, got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// fill gives each exported field that is empty a value.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	for i := range v.NumField() {
		f := v.Field(i)
		if !f.CanSet() || !f.IsZero() {
			continue
		}
		switch name := v.Type().Field(i).Name; name {
		case "Behalf", "Sessions":
		case "OnBehalfOf":
			f.Set(reflect.ValueOf(&call.Actor{Subject: "actor", Next: &call.Actor{Subject: "before"}}))
		case "Prefix":
			p, _ := call.ParsePath("mcp/agent")
			f.Set(reflect.ValueOf(p))
		case "SourceIP":
			if err := json.Unmarshal([]byte(`"192.0.2.7"`), f.Addr().Interface()); err != nil {
				t.Fatal(err)
			}
		default:
			switch f.Kind() {
			case reflect.String:
				f.SetString("some " + name)
			case reflect.Slice:
				f.Set(reflect.ValueOf([]string{"one", "two"}))
			case reflect.Struct:
				f.Set(reflect.ValueOf(time.Unix(1_700_000_000, 0).UTC()))
			default:
				t.Fatalf("field %s of a caller is new to this test", name)
			}
		}
	}
}
