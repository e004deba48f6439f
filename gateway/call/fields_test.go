package call_test

import (
	"slices"
	"testing"

	"portcullis/gateway/call"
)

func TestFields(t *testing.T) {
	tests := []struct {
		names []string
		all   bool
	}{
		{nil, true}, {[]string{}, false}, {[]string{"user"}, false}, {[]string{"a\x00b", `"],["`}, false},
	}
	for _, tt := range tests {
		f := call.OnlyFields(tt.names)
		if f.All() != tt.all || !tt.all && !slices.Equal(f.Names(), tt.names) {
			t.Errorf("%q: all %v, names %q", tt.names, f.All(), f.Names())
		}
		if f != call.OnlyFields(slices.Clone(tt.names)) {
			t.Errorf("%q: two of them differ", tt.names)
		}
	}
}
