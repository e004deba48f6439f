package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestATerminalIsToldNothing: what it would obey is shown as what it is, and what is JSON stays
// the same JSON.
func TestATerminalIsToldNothing(t *testing.T) {
	var b strings.Builder
	n, err := terminal{&b}.Write([]byte("caf\u00e9\t\U0001f511\n\x1b]0;x\x07\r\x7f\u009b2J\u202e\u2028\U000e0041\xff."))
	const want = "caf\u00e9\t\U0001f511\n" + `\u001b]0;x\u0007\u000d\u007f\u009b2J\u202e\u2028\udb40\udc41\ufffd.`
	if n != 35 || err != nil || b.String() != want {
		t.Errorf("got %q, %d, %v", b.String(), n, err)
	}
	var got string
	if err := json.Unmarshal([]byte(`"`+strings.TrimPrefix(want, "caf\u00e9\t\U0001f511\n")+`"`), &got); err != nil || got != "\x1b]0;x\x07\r\x7f\u009b2J\u202e\u2028\U000e0041\ufffd." {
		t.Errorf("got %q, %v", got, err)
	}
}
