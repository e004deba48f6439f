package call_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"portcullis/gateway/call"
)

// TestSecretsDoNotPrint puts secrets through everything that prints.
func TestSecretsDoNotPrint(t *testing.T) {
	const canary = "canary-4711"
	v := struct {
		S call.Secret
		J call.SecretJSON
		P *call.Secret
	}{canary, call.NewSecretJSON([]byte(`{"k":"` + canary + `"}`)), new(call.Secret(canary))}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "s", v.S, "j", v.J, "p", v.P)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "s", v.S, "j", v.J, "v", v)
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	for name, out := range map[string]string{
		"%v": fmt.Sprintf("%v", v.S) + fmt.Sprintf("%v", v.J), "%+v": fmt.Sprintf("%+v", v), "%s": fmt.Sprintf("%s %s", v.S, v.J),
		"%#v": fmt.Sprintf("%#v %#v", v.S, v.J), "%q": fmt.Sprintf("%q", v.S), "json": string(raw), "slog": log.String(),
		"error": fmt.Errorf("x: %w", errors.New(v.S.String())).Error(),
	} {
		if strings.Contains(out, canary) {
			t.Errorf("%s shows the secret: %s", name, out)
		}
	}
	if v.S.Reveal() != canary || !strings.Contains(string(v.J.Reveal()), canary) {
		t.Error("Reveal does not reveal")
	}
}

func TestAsError(t *testing.T) {
	inner := errors.New("the database password is hunter2")
	e := call.AsError(fmt.Errorf("read: %w", inner))
	if e.Code != call.Internal || strings.Contains(e.Msg, "hunter2") {
		t.Errorf("got %s %q, want an internal error that says nothing", e.Code, e.Msg)
	}
	if call.AsError(nil) != nil {
		t.Error("AsError(nil) is not nil")
	}
	own := call.Errorf(call.NotFound, "not found")
	if got := call.AsError(fmt.Errorf("x: %w", own)); got != own {
		t.Errorf("got %v, want the error itself", got)
	}
}

func TestVoidGrant(t *testing.T) {
	if (call.Grant{}).Valid() {
		t.Error("a grant that nobody minted is valid")
	}
}
