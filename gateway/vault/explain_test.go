package vault_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/vault"
)

// TestNamesInVaultsErrorsAreShort: a message that names what Vault's text names stays
// short, however long the text is.
func TestNamesInVaultsErrorsAreShort(t *testing.T) {
	long := strings.Repeat("a", 500_000)
	for _, text := range []string{
		"key type " + long + " is not supported for key type",
		"non-AEAD cipher suite " + long,
		"public_key failed to meet the key restrictions of type " + long,
		"extensions [" + long + "] are not on allowed list",
		`cert_type '` + long + `'`,
		long + " is not a valid value for valid_principals",
		`field "` + long + `": field validation failed`,
	} {
		raw, err := json.Marshal(map[string]any{"errors": []string{text}})
		if err != nil {
			t.Fatal(err)
		}
		cl := stub(t, vault.Config{}, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write(raw)
		})
		if e := call.AsError(writeAt(t, cl, "data/x")); e == nil || len(e.Msg) > 400 {
			t.Errorf("%.40s…: a message of %d bytes", text, len(e.Msg))
		}
	}
}
