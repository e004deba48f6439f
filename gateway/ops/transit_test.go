package ops_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"portcullis/gateway/call"
)

func quote(s string) string {
	raw, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// results counts what is good and what is bad in a batch.
func results(t *testing.T, out map[string]any, field string) (good, bad int) {
	t.Helper()
	list, _ := out["results"].([]any)
	for _, v := range list {
		item, _ := v.(map[string]any)
		_, ok := item[field]
		_, failed := item["error"]
		if ok == failed {
			t.Fatalf("an item has both or neither of %s and error: %v", field, item)
		}
		if ok {
			good++
		} else {
			bad++
		}
	}
	return good, bad
}

// A thousand items of which three are bad give 997 results and three errors, in
// each of the five batch forms.
func TestBatch(t *testing.T) {
	r := newRig(t)
	plain := base64.StdEncoding.EncodeToString([]byte("hello"))
	one := func(name, args, field string) string {
		s, _ := r.must(t, name, args)[field].(string)
		return s
	}
	ciphertext := one("transit.encrypt", `{"key":"mcp","plaintext":"`+plain+`"}`, "ciphertext")
	signature := one("transit.sign", `{"key":"signing","input":"`+plain+`"}`, "signature")
	mac := one("transit.hmac", `{"key":"mcp","input":"`+plain+`"}`, "hmac")
	tampered := ciphertext[:len(ciphertext)-8] + "AAAAAAA="
	tests := []struct {
		name, op, key, field, good string
		bad                        [3]string
	}{
		{
			"encrypt", "transit.encrypt", "mcp", "ciphertext", `{"plaintext":"` + plain + `"}`,
			[3]string{`{"plaintext":"not base64"}`, `{}`, `{"plaintext":"` + plain + `","key_version":99}`},
		},
		{
			"decrypt", "transit.decrypt", "mcp", "plaintext", `{"ciphertext":"` + ciphertext + `"}`,
			[3]string{`{"ciphertext":"x"}`, `{"ciphertext":"` + tampered + `"}`, `{}`},
		},
		{
			"rewrap", "transit.rewrap", "mcp", "ciphertext", `{"ciphertext":"` + ciphertext + `"}`,
			[3]string{`{"ciphertext":"x"}`, `{"ciphertext":"` + tampered + `"}`, `{}`},
		},
		{
			"sign", "transit.sign", "signing", "signature", `{"input":"` + plain + `"}`,
			[3]string{`{"input":"not base64"}`, `{}`, `{"input":"%%"}`},
		},
		{
			"verify", "transit.verify", "signing", "valid", `{"input":"` + plain + `","signature":"` + signature + `"}`,
			[3]string{`{"input":"` + plain + `"}`, `{"input":"not base64","signature":"` + signature + `"}`, `{"input":"` + plain + `","signature":"x"}`},
		},
		{
			"verify hmac", "transit.verify", "mcp", "valid", `{"input":"` + plain + `","hmac":"` + mac + `"}`,
			[3]string{`{"input":"` + plain + `"}`, `{"input":"not base64","hmac":"` + mac + `"}`, `{"input":"` + plain + `","signature":"` + signature + `"}`},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			items := strings.Split(strings.Repeat(tt.good+"\n", 999)+tt.good, "\n")
			items[7], items[500], items[999] = tt.bad[0], tt.bad[1], tt.bad[2]
			out := r.must(t, tt.op, fmt.Sprintf(`{"key":%q,"items":[%s]}`, tt.key, strings.Join(items, ",")))
			if good, bad := results(t, out, tt.field); good != 997 || bad != 3 {
				t.Errorf("got %d results and %d errors, want 997 and 3", good, bad)
			}
		})
	}
}

// A batch in which nothing is good is still a batch, not a failed call.
func TestBatchOfBad(t *testing.T) {
	r := newRig(t)
	for name, args := range map[string]string{
		"transit.encrypt": `{"key":"mcp","items":[{"plaintext":"?"},{}]}`,
		"transit.decrypt": `{"key":"mcp","items":[{"ciphertext":"?"},{}]}`,
		"transit.sign":    `{"key":"signing","items":[{}]}`,
	} {
		out := r.must(t, name, args)
		if good, bad := results(t, out, "nothing"); good != 0 || bad == 0 {
			t.Errorf("%s: got %d results and %d errors", name, good, bad)
		}
	}
}

// Items without a context do not spoil those with one, which only a derived key
// takes.
func TestBatchContext(t *testing.T) {
	r := newRig(t)
	r.admin(t, "transit/keys/derived", `{"derived":true}`)
	out := r.must(t, "transit.encrypt", `{"key":"derived","items":[{"plaintext":"aGk=","context":"Yw=="},{"plaintext":"aGk="}]}`)
	if good, bad := results(t, out, "ciphertext"); good != 1 || bad != 1 {
		t.Errorf("got %d results and %d errors, want one each", good, bad)
	}
	out = r.must(t, "transit.encrypt", `{"key":"derived","context":"Yw==","items":[{"plaintext":"aGk="},{"plaintext":"aGk=","context":"Yg=="}]}`)
	if good, _ := results(t, out, "ciphertext"); good != 2 {
		t.Errorf("got %d results, want 2: the call's context is for every item without one", good)
	}
}

func TestTransitRefuses(t *testing.T) {
	r := newRig(t)
	tests := []struct {
		name, op, args string
	}{
		{"neither single nor batch", "transit.encrypt", `{"key":"mcp"}`},
		{"both", "transit.encrypt", `{"key":"mcp","plaintext":"aGk=","items":[{"plaintext":"aGk="}]}`},
		{"empty batch", "transit.sign", `{"key":"mcp","items":[]}`},
		{"too many items", "transit.encrypt", `{"key":"mcp","items":[` + strings.Repeat("{},", 1000) + `{}]}`},
		{"not base64", "transit.encrypt", `{"key":"mcp","plaintext":"?"}`},
		{"tampered", "transit.decrypt", `{"key":"mcp","ciphertext":"vault:v1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`},
		{"signature and hmac", "transit.verify", `{"key":"mcp","input":"aGk=","hmac":"vault:v1:x","signature":"vault:v1:x"}`},
		{"no signature", "transit.verify", `{"key":"mcp","input":"aGk="}`},
		{"format", "transit.random", `{"format":"octal"}`},
		{"too many bytes", "transit.random", `{"bytes":65537}`},
		{"no bytes", "transit.random", `{"bytes":0}`},
		{"bits", "transit.datakey", `{"key":"mcp","bits":64}`},
		{"algorithm", "transit.hash", `{"input":"aGk=","algorithm":"md5"}`},
		{"algorithm with a path", "transit.sign", `{"key":"signing","input":"aGk=","hash_algorithm":"sha2-256/../x"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := r.do(t.Context(), tt.op, tt.args)
			wantCode(t, err, call.InvalidRequest)
		})
	}
}

// Vault makes a key that a root token encrypts with and that does not exist; no call
// of the gateway does.
func TestNoKeyIsMade(t *testing.T) {
	r := newRig(t)
	for name, args := range map[string]string{
		"single":       `{"key":"made","plaintext":"aGk="}`,
		"batch":        `{"key":"made","items":[{"plaintext":"aGk="},{"plaintext":"aGk="}]}`,
		"with context": `{"key":"made","plaintext":"aGk=","context":"aGk="}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.do(t.Context(), "transit.encrypt", args)
			wantCode(t, err, call.NotFound)
			if status, err := r.vault.Send(t.Context(), "GET", "transit/keys/made", ""); err != nil || status != 404 {
				t.Errorf("the key: status %d, %v, want 404", status, err)
			}
		})
	}
}

// What goes in comes out, in every encoding and with everything that ties it.
func TestTransitOptions(t *testing.T) {
	r := newRig(t)
	r.admin(t, "transit/keys/derived", `{"derived":true}`)
	r.admin(t, "transit/keys/rsa", `{"type":"rsa-2048"}`)
	r.admin(t, "transit/keys/mcp/rotate", `{}`)
	tests := []struct{ name, op, args, then, args2, field, want string }{
		{
			"text", "transit.encrypt", `{"key":"mcp","plaintext":"käse","encoding":"text"}`,
			"transit.decrypt", `{"key":"mcp","ciphertext":"$","encoding":"text"}`, "plaintext", "käse",
		},
		{
			"hex", "transit.encrypt", `{"key":"mcp","plaintext":"/w=="}`,
			"transit.decrypt", `{"key":"mcp","ciphertext":"$","encoding":"hex"}`, "plaintext", "ff",
		},
		{
			"empty", "transit.encrypt", `{"key":"mcp","plaintext":""}`,
			"transit.decrypt", `{"key":"mcp","ciphertext":"$"}`, "plaintext", "",
		},
		{
			"associated data", "transit.encrypt", `{"key":"mcp","plaintext":"aGk=","associated_data":"YQ=="}`,
			"transit.decrypt", `{"key":"mcp","ciphertext":"$","associated_data":"YQ=="}`, "plaintext", "aGk=",
		},
		{
			"context", "transit.encrypt", `{"key":"derived","plaintext":"aGk=","context":"YQ=="}`,
			"transit.decrypt", `{"key":"derived","ciphertext":"$","context":"YQ=="}`, "plaintext", "aGk=",
		},
		{
			"old version", "transit.encrypt", `{"key":"mcp","plaintext":"aGk=","key_version":1}`,
			"transit.rewrap", `{"key":"mcp","ciphertext":"$"}`, "key_version", "2",
		},
		{
			"prehashed", "transit.sign", `{"key":"rsa","input":"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=","prehashed":true,"signature_algorithm":"pkcs1v15","hash_algorithm":"sha2-256"}`,
			"transit.verify", `{"key":"rsa","input":"abc","encoding":"text","signature":"$","signature_algorithm":"pkcs1v15"}`, "valid", "true",
		},
		{
			"other input", "transit.sign", `{"key":"signing","input":"aGk="}`,
			"transit.verify", `{"key":"signing","input":"aGo=","signature":"$"}`, "valid", "false",
		},
		{
			"data key", "transit.datakey", `{"key":"mcp","bits":128}`,
			"transit.decrypt", `{"key":"mcp","ciphertext":"$","encoding":"hex"}`, "plaintext", "32 digits",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := r.must(t, tt.op, tt.args)
			first, _ := out["ciphertext"].(string)
			if s, ok := out["signature"].(string); ok {
				first = s
			}
			got := fmt.Sprint(r.must(t, tt.then, strings.ReplaceAll(tt.args2, "$", first))[tt.field])
			if tt.want == "32 digits" {
				got = fmt.Sprintf("%d digits", len(got))
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// Bytes that are no text are not returned as text.
func TestDecryptNotText(t *testing.T) {
	r := newRig(t)
	ciphertext := r.must(t, "transit.encrypt", `{"key":"mcp","plaintext":"/w=="}`)["ciphertext"]
	_, err := r.do(t.Context(), "transit.decrypt", fmt.Sprintf(`{"key":"mcp","ciphertext":%q,"encoding":"text"}`, ciphertext))
	wantCode(t, err, call.InvalidRequest)
	out := r.must(t, "transit.decrypt", fmt.Sprintf(`{"key":"mcp","encoding":"text","items":[{"ciphertext":%q}]}`, ciphertext))
	if _, bad := results(t, out, "plaintext"); bad != 1 {
		t.Errorf("got %v, want an error for the item", out)
	}
}
