package deny_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"portcullis/gateway/auth/deny"
	"portcullis/gateway/auth/rule"
	"portcullis/gateway/call"

	"github.com/go-json-experiment/json"
)

func open(t *testing.T, path string) *deny.List {
	t.Helper()
	l, err := deny.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAnEntryDeniesWhatItNames(t *testing.T) {
	now := time.Now()
	robot := call.Caller{Tenant: "acme", Subject: "robot", KeyID: "k1", TokenID: "t1", CertSerial: "a1b2", OnBehalfOf: &call.Actor{Subject: "x", Next: &call.Actor{Subject: "deep"}}}
	for name, c := range map[string]struct {
		entry deny.Entry
		want  bool
	}{
		"subject in every tenant": {deny.Entry{Subject: "robot"}, true},
		"subject of the tenant":   {deny.Entry{Subject: "robot", Tenant: "acme"}, true},
		"subject of another":      {deny.Entry{Subject: "robot", Tenant: "other"}, false},
		"another subject":         {deny.Entry{Subject: "robot2"}, false},
		"actor further down":      {deny.Entry{Subject: "deep"}, true},
		"key":                     {deny.Entry{KeyID: "k1"}, true},
		"another key":             {deny.Entry{KeyID: "k"}, false},
		"a token's id as a key":   {deny.Entry{KeyID: "t1"}, false},
		"token":                   {deny.Entry{TokenID: "t1"}, true},
		"serial":                  {deny.Entry{Serial: "a1b2"}, true},
		"serial as others write":  {deny.Entry{Serial: "00:A1:B2"}, true},
		"another serial":          {deny.Entry{Serial: "a1b"}, false},
		"for a while":             {deny.Entry{Subject: "robot", Until: now.Add(time.Minute)}, true},
		"over":                    {deny.Entry{Subject: "robot", Until: now.Add(-time.Minute)}, false},
		"one of several":          {deny.Entry{Subject: "other", TokenID: "t1"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			l := open(t, "")
			if err := revoke(l, c.entry); err != nil {
				t.Fatal(err)
			}
			if got := errors.Is(l.Check(&robot, now), rule.Denied); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestTheLongerDenialWins(t *testing.T) {
	now := time.Now()
	path := filepath.Join(t.TempDir(), "deny")
	forever, short := `{"subject":"a"}`+"\n", `{"subject":"a","until":"2001-01-01T00:00:00Z"}`+"\n"
	for name, text := range map[string]string{"first": forever + short, "last": short + forever} {
		write(t, path, text)
		if err := open(t, path).Check(&call.Caller{Subject: "a"}, now); err == nil {
			t.Errorf("%s: not denied", name)
		}
	}
}

func TestAListNeverLosesAnEntryByMistake(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deny")
	l := open(t, path) // not there yet
	denied := func(subject string) bool { return l.Check(&call.Caller{Subject: subject}, time.Now()) != nil }
	for _, step := range []struct {
		name, text string
		fails      bool
		want       string // who is denied, of a, b and c
	}{
		{"the first entry", `{"subject":"a"}`, false, "a"},
		{"a bad line, another entry, the first gone", "{\"subject\":\"b\"}\n{\"subjekt\":\"c\"}\n", true, "ab"},
		{"nothing but rubbish", "rubbish", true, "a"},
		{"a name that is no text", `{"subject":7}`, true, "a"},
		{"an entry that names nothing", `{"reason":"x"}`, true, "a"},
		{"repaired", "# comment\n\n{\"subject\":\"c\"}\n", false, "c"},
		{"emptied by hand", "", false, ""},
	} {
		write(t, path, step.text)
		if _, err := l.Reload(); (err != nil) != step.fails {
			t.Errorf("%s: got %v", step.name, err)
		}
		got := ""
		for _, s := range []string{"a", "b", "c"} {
			if denied(s) {
				got += s
			}
		}
		if got != step.want {
			t.Errorf("%s: denied are %q, want %q", step.name, got, step.want)
		}
	}
	write(t, path, `{"subject":"a"}`)
	if _, err := l.Reload(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Reload(); err == nil || !denied("a") {
		t.Errorf("the file is gone: got %v, denied %v, want an error and the entry", err, denied("a"))
	}
}

func TestRevokeHoldsWhenItReturns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deny")
	l := open(t, path)
	for i := range 20 {
		name := fmt.Sprintf("robot%d", i)
		l.Due(time.Now()) // somebody looks just before
		var out bytes.Buffer
		if err := deny.Revoke(&out, path, deny.Entry{Subject: name, Reason: "test"}); err != nil {
			t.Fatal(err)
		}
		if !l.Due(time.Now()) {
			t.Fatal("the list is not due to be looked at")
		}
		if _, err := l.Reload(); err != nil {
			t.Fatal(err)
		}
		if err := l.Check(&call.Caller{Subject: name}, time.Now()); err == nil {
			t.Errorf("%s is not denied", name)
		}
	}
}

func TestRevokeRefusesWhatNamesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deny")
	for name, e := range map[string]deny.Entry{"nothing": {Reason: "x"}, "tenant alone": {Tenant: "acme"}} {
		if err := deny.Revoke(&bytes.Buffer{}, path, e); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was written")
	}
}

// TestWhoeverRevokesMayNameASubjectAsItsIssuerDoes: by the file, by the command and for
// all replicas, also where the issuer's form looks like the one that callers have.
func TestWhoeverRevokesMayNameASubjectAsItsIssuerDoes(t *testing.T) {
	for raw, mapped := range map[string]string{
		"repo:acme/app:ref:refs/heads/main": "repo~3aacme~2fapp~3aref~3arefs~2fheads~2fmain",
		"auth0|7":                           "auth0~7c7",
		"x~y":                               "x~7ey",
		"repo~3aacme":                       "repo~7e3aacme",
	} {
		path := filepath.Join(t.TempDir(), "deny")
		for _, name := range []string{raw, mapped} {
			write(t, path, fmt.Sprintf("{\"subject\":%q,\"tenant\":%q}", name, name))
			if err := open(t, path).Check(&call.Caller{Subject: mapped, Tenant: mapped}, time.Now()); err == nil {
				t.Errorf("%s by the file: not denied", name)
			}
			list := open(t, "")
			if err := revoke(list, deny.Entry{Subject: name}); err != nil {
				t.Fatal(err)
			}
			if err := list.Check(&call.Caller{Subject: mapped}, time.Now()); err == nil {
				t.Errorf("%s by a store: not denied", name)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "deny")
	if err := deny.Revoke(&bytes.Buffer{}, path, deny.Entry{Subject: "auth0|7"}); err != nil {
		t.Fatal(err)
	}
	if err := open(t, path).Check(&call.Caller{Subject: "auth0~7c7"}, time.Now()); err == nil {
		t.Error("by the command: not denied")
	}
}

func Example() {
	list, _ := deny.Open("")
	_ = list.Replace([]byte(`{"subject":"robot","reason":"key found in a public repository"}`))
	fmt.Println(list.Check(&call.Caller{Subject: "robot"}, time.Now()))
	fmt.Println(list.Check(&call.Caller{Subject: "other"}, time.Now()))
	// Output:
	// credential.denied: subject
	// <nil>
}

// revoke puts an entry in the place of what is denied for all replicas.
func revoke(l *deny.List, e deny.Entry) error {
	line, err := json.Marshal(e)
	return errors.Join(err, l.Replace(line))
}
