package reach

import "testing"

func TestCoversIsNeverTooWide(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"shared", "shared", true},
		{"shared", "shared/x/y", true},
		{"shared", "shared2", false},
		{"shared/x", "shared", false},
		{"shared", "shared/*", true},
		{"shared/*", "shared", false},
		{"shared/*", "shared/x", true},
		{"shared/+", "shared/x", false}, // x has everything below it
		{"shared/+", "shared/+", true},
		{"shared/+", "shared/+/x", false},
		{"+/x", "a/x", false},
		{"+/x/*", "a/x/y", true},
		{"+/x/*", "+/x/*", true},
		{"shared", "shared/+", true},
		{"shared/+", "shared/*", false},
		{"*", "a", true},
		{"{principal}", "other", false},
		{"teams/{role}", "teams/{role}/x", true},
	} {
		if got := covers(tt.a, tt.b); got != tt.want {
			t.Errorf("covers(%q, %q) = %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestMeetsIsNeverTooNarrow(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"shared/x", "shared", true},
		{"shared", "shared/x", true},
		{"shared/+/y", "shared/x", true},
		{"shared/{principal}", "shared/a", true},
		{"shared/a", "shared/b", false},
		{"*", "anything", true},
		{"", "anything", true},
	} {
		if got := meets(tt.a, tt.b); got != tt.want {
			t.Errorf("meets(%q, %q) = %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
}
