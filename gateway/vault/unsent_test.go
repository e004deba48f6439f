package vault_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"portcullis/gateway/vault"
)

// TestWhatWasSentIsNotInTheCause: Vault quotes arguments in its errors, whole, in part,
// escaped and decoded; none of that gets into an error of the gateway's, and so into no log.
func TestWhatWasSentIsNotInTheCause(t *testing.T) {
	const secret = `pa"ss\wörd hunter2 correct-horse`
	for name, text := range map[string]string{
		"whole":   secret,
		"quoted":  fmt.Sprintf("%q", secret),
		"in part": `unknown unit "hunter2 corr" in duration`,
		"decoded": "illegal: decoded-canary in input",
		"number":  "cannot unmarshal number 1234567890123",
		"list":    "[correct-horse] are not allowed",
	} {
		t.Run(name, func(t *testing.T) {
			for _, status := range []int{400, 403, 405, 412, 413, 429, 500, 502, 503} {
				cl := stub(t, vault.Config{}, func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(status)
					_, _ = fmt.Fprintf(w, `{"errors":[%s]}`, quote(t, "Vault says: "+text))
				})
				body := map[string]any{"data": map[string]any{"k": secret, "b": "ZGVjb2RlZC1jYW5hcnk=", "n": 1234567890123}}
				err := open(t, cl, grant(caller("q"), "kv.write")).Put(t.Context(), "data/x", body, nil)
				if err == nil {
					t.Fatal("no error")
				}
				for _, part := range []string{"hunter2", "correct-horse", "decoded-canary", "1234567890123", "pa\"ss", `pa\"ss`} {
					if strings.Contains(err.Error(), part) {
						t.Errorf("%d: %s is in %v", status, part, err)
					}
				}
				if !strings.Contains(err.Error(), "Vault says") && status != 503 {
					t.Errorf("%d: nothing is left of what Vault says: %v", status, err)
				}
			}
		})
	}
}

// TestWarnings: what Vault warns of is passed on without what was sent or read.
func TestWarnings(t *testing.T) {
	cl := stub(t, vault.Config{}, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"request_id":"1","data":{"version":1,"data":{"value":"hunter2-read"}},"warnings":["this is hunter2-read and hunter2-sent","capped at 24h","capped at 24h"]}`)
	})
	for name, do := range map[string]func(*vault.Session) error{
		"read": func(s *vault.Session) error { return s.Get(t.Context(), "data/x", nil, &secret{}) },
		"write": func(s *vault.Session) error {
			return s.Put(t.Context(), "data/x", map[string]string{"a": "hunter2-sent"}, nil)
		},
	} {
		s := open(t, cl, grant(caller("w"), "kv.read"))
		if err := do(s); err != nil {
			t.Fatal(err)
		}
		got := strings.Join(s.Warnings(), "\n")
		if len(s.Warnings()) != 2 || !strings.Contains(got, "capped at 24h") || strings.Contains(got, "hunter2-read") || name == "write" && strings.Contains(got, "sent") {
			t.Errorf("%s: warned of %q", name, got)
		}
	}
}

// What something else than Vault answers is not quoted at all.
func TestPagesAreNotQuoted(t *testing.T) {
	for _, status := range []int{200, 400, 403, 404, 500, 503} {
		cl := stub(t, vault.Config{}, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "<html>canary</html>")
		})
		if err := put(t, cl, caller("p"), "v"); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%d: got %v", status, err)
		}
	}
}

func quote(t *testing.T, s string) []byte {
	t.Helper()
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
