package op_test

import (
	"strings"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

func TestAReasonIsOneLine(t *testing.T) {
	for text, fine := range map[string]bool{
		"": true, "INC-4711: restore": true, "naïve": true, strings.Repeat("x", op.MaxReason): true,
		strings.Repeat("x", op.MaxReason+1): false, "a\nb": false, "a\x00": false, "\xff": false, "a\u2028b": false,
	} {
		got, err := op.ParseReason(text)
		if (err == nil) != fine || fine && got != text || err != nil && !call.Is(err, call.InvalidRequest) {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
}

func TestClientsAreCutAndClean(t *testing.T) {
	c := op.ClientNamed("curl\n", "8.5", strings.Repeat("s", 1000))
	if c.Name != "curl" || c.Version != "8.5" || len(c.Session) != 64 {
		t.Errorf("got %+v", c)
	}
}
