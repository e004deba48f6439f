package uses_test

import (
	"strings"
	"testing"
)

// A thousand items with three bad ones are 997 results and three errors, over
// every transport.
func TestBatch(t *testing.T) {
	w, o := newWorld(t), catalogue(t).Get("transit.encrypt")
	items := strings.Split(strings.Repeat(`{"plaintext":"aGk="},`, 999)+`{"plaintext":"aGk="}`, ",")
	items[0], items[499], items[999] = `{"plaintext":"not base64"}`, `{}`, `{"plaintext":"aGk=","key_version":99}`
	for name, send := range transports() {
		out, code := send(t, w, o, `{"key":"mcp","items":[`+strings.Join(items, ",")+`]}`)
		list, _ := out["results"].([]any)
		good, bad := 0, 0
		for _, v := range list {
			result, _ := v.(map[string]any)
			if result["ciphertext"] != nil {
				good++
			}
			if result["error"] != nil {
				bad++
			}
		}
		if good != 997 || bad != 3 {
			t.Errorf("over %s: got %d results and %d errors (%s), want 997 and 3", name, good, bad, code)
		}
	}
}
