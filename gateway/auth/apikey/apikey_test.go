package apikey_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/auth/apikey"
	"portcullis/gateway/auth/rule"
	"portcullis/gateway/call"
)

func open(t *testing.T, o apikey.Options) *apikey.Store {
	t.Helper()
	s, _, err := apikey.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// mint makes a key and returns it.
func mint(t *testing.T, file string, e apikey.Entry) string {
	t.Helper()
	var out, notes bytes.Buffer
	if err := apikey.Mint(&out, &notes, file, e); err != nil {
		t.Fatal(err)
	}
	secret, more, _ := strings.Cut(out.String(), "\n")
	if more != "" || strings.Contains(notes.String(), secret) || !strings.Contains(notes.String(), "shown once") {
		t.Errorf("got %d bytes behind the key, and the notes %q", len(more), notes.String())
	}
	return secret
}

// TestAMintedKeySaysWhenItWasMade: to the policy; one without the field is of unknown
// age.
func TestAMintedKeySaysWhenItWasMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.yaml")
	secret := mint(t, file, apikey.Entry{Subject: "a"})
	c, err := open(t, apikey.Options{File: file}).Lookup(secret, time.Now())
	if err != nil || time.Since(c.Created) > time.Hour || c.Created.IsZero() {
		t.Errorf("got %v, %v", c, err)
	}
	old, err := open(t, apikey.Options{JSON: `{"one-key-of-the-agent-000001":"a"}`}).Lookup("one-key-of-the-agent-000001", time.Now())
	if err != nil || !old.Created.IsZero() {
		t.Errorf("got %v, %v", old, err)
	}
}

// TestNamesThatAnOperatorGivesArePlain: none equals the mapped name of a token's
// subject, and none is refused by Vault later on.
func TestNamesThatAnOperatorGivesArePlain(t *testing.T) {
	for _, subject := range []string{"a~3ab", "a..b", "a:b", "..", "a/b"} {
		raw := fmt.Sprintf(`{"one-key-of-the-agent-000001":%q}`, subject)
		if _, _, err := apikey.Open(apikey.Options{JSON: raw}); !errors.Is(err, rule.UnsafeName) {
			t.Errorf("%s: got %v", subject, err)
		}
	}
}

func TestMintedKeyIsKnownByItsHashAlone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.yaml")
	secret := mint(t, file, apikey.Entry{ID: "ci", Subject: "builder", Kind: "service", Tenant: "acme", Scopes: []string{"read"}, Roles: []string{"ci"}, Tier: "bulk"})
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), secret) {
		t.Error("the key is in the file")
	}
	c, err := open(t, apikey.Options{File: file}).Lookup(secret, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(c.KeyID, c.Subject, c.Kind, c.Tenant, c.Scopes, c.Roles, c.Tier, c.Prefix, c.Method)
	if want := fmt.Sprint("ci", "builder", "service", "acme", []string{"read"}, []string{"ci"}, "bulk", "~acme/builder", call.APIKey); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestMintKeepsWhatIsInTheFile(t *testing.T) {
	for name, old := range map[string]string{
		"no file": "", "a comment": "# of team x\n", "an empty list": "keys: []\n",
		"an entry with a comment": "# of team x\nkeys:\n    # the first\n    - id: one\n      hash: sha256:" + strings.Repeat("ab", 32) + "\n      subject: a\n      scopes: []\n",
		"JSON":                    `{"keys":[{"id":"one","hash":"sha256:` + strings.Repeat("ab", 32) + `","subject":"a","scopes":[]}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "keys.yaml")
			if name != "no file" {
				if err := os.WriteFile(file, []byte(old), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			secret := mint(t, file, apikey.Entry{Subject: "b"})
			s := open(t, apikey.Options{File: file})
			if _, err := s.Lookup(secret, time.Now()); err != nil {
				t.Error(err)
			}
			data, _ := os.ReadFile(file)
			if strings.Contains(old, "team x") && !strings.Contains(string(data), "# of team x") {
				t.Errorf("the comment is gone from %s", data)
			}
			if want := 1 + strings.Count(old, "one"); s.Len() != want {
				t.Errorf("got %d keys, want %d", s.Len(), want)
			}
			if err := apikey.Mint(&bytes.Buffer{}, &bytes.Buffer{}, file, apikey.Entry{Subject: "b"}); err == nil {
				t.Error("a second key with the same id was made")
			}
		})
	}
}

func TestAFileWithAMistakeIsRefusedWithEveryMistake(t *testing.T) {
	hash := "sha256:" + strings.Repeat("ab", 32)
	for name, c := range map[string]struct{ text, want string }{
		"unknown field":  {"keys:\n- {id: a, hash: '" + hash + "', subject: a, scopes: [], scope: x}", "field scope not found"},
		"the key itself": {"keys:\n- {id: a, key: secret, subject: a, scopes: []}", "field key not found"},
		"no scopes":      {"keys:\n- {id: a, hash: '" + hash + "', subject: a}", "scopes: missing"},
		"short hash":     {"keys:\n- {id: a, hash: 'sha256:ab', subject: a, scopes: []}", "hash: want"},
		"no hash kind":   {"keys:\n- {id: a, hash: '" + strings.Repeat("ab", 32) + "', subject: a, scopes: []}", "hash: want"},
		"blank key":      {"keys:\n- {id: a, hash: 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', subject: a, scopes: []}", "blank"},
		"unsafe subject": {"keys:\n- {id: a, hash: '" + hash + "', subject: ../a, scopes: []}", "name.unsafe"},
		"unsafe prefix":  {"keys:\n- {id: a, hash: '" + hash + "', subject: a, scopes: [], prefix: a/../b}", "prefix:"},
		"unknown kind":   {"keys:\n- {id: a, hash: '" + hash + "', subject: a, scopes: [], kind: robot}", "name.kind"},
		"the same key":   {"keys:\n- {id: a, hash: '" + hash + "', subject: a, scopes: []}\n- {id: b, hash: '" + hash + "', subject: b, scopes: []}", "are the same key"},
		"the same id":    {"keys:\n- {id: a, hash: '" + hash + "', subject: a, scopes: []}\n- {id: a, hash: 'sha256:" + strings.Repeat("cd", 32) + "', subject: b, scopes: []}", "used twice"},
		"the same field": {"keys:\n- {id: a, id: b, hash: '" + hash + "', subject: a, scopes: []}", "already defined"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "keys.yaml")
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, _, err := apikey.Open(apikey.Options{File: file})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestReloadTakesKeysAwayAndKeepsThemOverAMistake(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.yaml")
	secret := mint(t, file, apikey.Entry{Subject: "a"})
	s := open(t, apikey.Options{File: file})
	c, err := s.Lookup(secret, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) error {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := s.Reload()
		return err
	}
	if data, err := os.ReadFile(file); err != nil || os.WriteFile(file+".good", data, 0o600) != nil {
		t.Fatal(err)
	}
	if err := write("keys: {"); err == nil {
		t.Error("a broken file was accepted")
	}
	if _, err := s.Lookup(secret, time.Now()); err != nil {
		t.Errorf("after a broken file: %v", err)
	}
	good, err := os.ReadFile(file + ".good")
	if err != nil {
		t.Fatal(err)
	}
	hash := regexp.MustCompile("sha256:[0-9a-f]+").FindString(string(good))
	for what, other := range map[string]string{
		"another key": strings.Replace(string(good), hash, "sha256:"+strings.Repeat("ab", 32), 1), "a scope less": regexp.MustCompile(" *- write\n").ReplaceAllString(string(good), ""),
	} {
		if err := write(other); err != nil || other == string(good) {
			t.Fatal(err)
		}
		if s.Valid(c, time.Now()) == nil || s.Named(c, time.Now()) != nil {
			t.Errorf("a stream of the key with %s: got %v, %v", what, s.Valid(c, time.Now()), s.Named(c, time.Now()))
		}
		if err := errors.Join(write(string(good)), s.Valid(c, time.Now())); err != nil {
			t.Error(err)
		}
	}
	if err := write("keys: []"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lookup(secret, time.Now()); !errors.Is(err, rule.UnknownKey) {
		t.Errorf("after the key was removed: got %v", err)
	}
	if err := s.Valid(c, time.Now()); !errors.Is(err, rule.UnknownKey) {
		t.Errorf("a stream of the removed key: got %v", err)
	}
}

func TestShortKeysAreForLoopbackOnly(t *testing.T) {
	const keys = `{"dev-api-key":"agent_api"}`
	_, warnings, err := apikey.Open(apikey.Options{JSON: keys, Loopback: true})
	if err != nil || len(warnings) != 1 || strings.Contains(warnings[0], "dev-api-key") {
		t.Errorf("on loopback: got %q, %v, want one warning without the key", warnings, err)
	}
	if _, _, err := apikey.Open(apikey.Options{JSON: keys}); err == nil || strings.Contains(err.Error(), "dev-api-key") {
		t.Errorf("elsewhere: got %v, want an error without the key", err)
	}
	for _, blank := range []string{`{"":"a"}`, `{"  ":"a"}`} {
		if _, _, err := apikey.Open(apikey.Options{JSON: blank, Loopback: true}); err == nil {
			t.Errorf("%s was accepted", blank)
		}
	}
}

func TestSeveralKeysOfOneSubjectHaveDifferentIDs(t *testing.T) {
	s := open(t, apikey.Options{JSON: `{"one-key-of-the-agent-000001":"a","one-key-of-the-agent-000002":"a"}`})
	ids := map[string]bool{}
	for _, k := range []string{"one-key-of-the-agent-000001", "one-key-of-the-agent-000002"} {
		c, err := s.Lookup(k, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		ids[c.KeyID] = true
	}
	if !ids["a"] || !ids["a.2"] {
		t.Errorf("got %v, want a and a.2", ids)
	}
}

func Example() {
	prefix, _ := call.ParsePath("mcp")
	store, _, err := apikey.Open(apikey.Options{JSON: `{"dev-api-key":"agent_api"}`, Base: prefix, Loopback: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	c, _ := store.Lookup("dev-api-key", time.Now())
	fmt.Println(c.Prefix)
	_, err = store.Lookup("guess", time.Now())
	fmt.Println(err)
	// Output:
	// mcp/agent_api
	// key.unknown
}
