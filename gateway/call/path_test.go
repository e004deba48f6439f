package call_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"portcullis/gateway/call"
)

func TestParsePath(t *testing.T) {
	clean := []string{
		"a", "a/b/c", "app.v1", "a b", "ünïcode/ключ", "user@example", "a:b/c", "...", "a..b", "-", "a+b",
		"host:5432", "a/b:undelete", "a?b", "a#b", "a%2fb", "100%", `a\b`, "a/*", "a/+/b", "a /b", " a", "~", "{{x}}", `"q"`, strings.Repeat("a", 1024),
	}
	for _, s := range clean {
		if p, err := call.ParsePath(s); err != nil || p.String() != s {
			t.Errorf("ParsePath(%q) = %q, %v, want it unchanged", s, p, err)
		}
	}
	unclean := map[string]string{
		"empty": "", "slash": "/", "leading": "/a", "trailing": "a/", "double": "a//b",
		"dot": "a/./b", "dots": "a/../b", "only dots": "..", "encoded dot": "a/%2e", "encoded dots": "a/%2E./b", "nul": "a\x00b",
		"newline": "a\nb", "delete": "a\x7fb", "invalid UTF-8": "a\xff",
		"no-break space": "a\u00a0b", "right-to-left mark": "a\u200fb", "long": strings.Repeat("a/", 600) + "a",
		"too long by one": strings.Repeat("a", 1025), "very long": strings.Repeat("a", 10_000),
	}
	for name, s := range unclean {
		if p, err := call.ParsePath(s); !call.Is(err, call.InvalidRequest) || !p.IsZero() {
			t.Errorf("%s: got %q, %v, want an empty path and %s", name, p, err, call.InvalidRequest)
		}
	}
}

// What an operator configures becomes part of Vault's policies as well.
func TestParsePlain(t *testing.T) {
	for _, s := range []string{"mcp", "mcp/~team/agent", "a b/c", "a:b/c", "a+b"} {
		if p, err := call.ParsePlain(s); err != nil || p.String() != s {
			t.Errorf("ParsePlain(%q) = %q, %v, want it unchanged", s, p, err)
		}
	}
	for _, s := range []string{"", "..", "a?b", "a#b", "a%b", `a\b`, "a*", "a/+/b", "{{x}}", "a /b", " a", "a/b:c"} {
		if p, err := call.ParsePlain(s); !call.Is(err, call.InvalidRequest) || !p.IsZero() {
			t.Errorf("ParsePlain(%q) = %q, %v, want %s", s, p, err, call.InvalidRequest)
		}
	}
}

// However a path is written, there is one full path and one form of it.
func TestRefResolves(t *testing.T) {
	own := mustPath(t, "mcp/agent")
	for _, c := range []struct{ text, full, canonical string }{
		{"app/db", "mcp/agent/app/db", "app/db"},
		{"kv://secret/mcp/agent/app/db", "mcp/agent/app/db", "app/db"},
		{"kv://secret/shared/a%20b", "shared/a b", "kv://secret/shared/a%20b"},
		{"kv://secret/shared/a b", "shared/a b", "kv://secret/shared/a%20b"},
		{"kv://secret/shared/50%25%3F%23:x", "shared/50%?#:x", "kv://secret/shared/50%25%3F%23:x"},
		{"50%25", "mcp/agent/50%25", "50%25"},
		{"kv:", "mcp/agent/kv:", "kv:"},
	} {
		r, err := call.ParseRef(c.text)
		if err != nil {
			t.Fatalf("%s: %v", c.text, err)
		}
		full, canonical, err := r.Resolve(own, "secret", false)
		if err != nil || full.String() != c.full || canonical.String() != c.canonical {
			t.Errorf("%s: got %q %q %v, want %q %q", c.text, full, canonical, err, c.full, c.canonical)
		}
		again, err := call.ParseRef(canonical.String())
		if err != nil || again != canonical {
			t.Errorf("%s: the canonical form reads back as %q, %v", c.text, again, err)
		}
	}
	for _, s := range []string{
		"kv://", "kv://secret//a", "kv://secret/../a", "kv://secret/%2e%2e/a", "kv://secret/a%2fb", "kv://secret/a?version=1",
		"kv://secret/a#b", "kv://secret/a%zz", "kv://secret/a/", "/a", "",
	} {
		if r, err := call.ParseRef(s); !call.Is(err, call.InvalidRequest) {
			t.Errorf("ParseRef(%q) = %q, %v, want %s", s, r, err, call.InvalidRequest)
		}
	}
	other, _ := call.ParseRef("kv://other/a")
	if _, _, err := other.Resolve(own, "secret", false); !call.Is(err, call.InvalidRequest) {
		t.Errorf("another mount: got %v, want %s", err, call.InvalidRequest)
	}
	long, _ := call.ParseRef(strings.Repeat("a", 1020))
	if _, _, err := long.Resolve(own, "secret", false); !call.Is(err, call.InvalidRequest) {
		t.Errorf("a full path over the bound: got %v, want %s", err, call.InvalidRequest)
	}
}

func TestPathWithin(t *testing.T) {
	for _, c := range []struct {
		path, root string
		want       bool
	}{
		{"mcp/team1/x", "mcp/team1", true},
		{"mcp/team1", "mcp/team1", true},
		{"mcp/team10/x", "mcp/team1", false},
		{"mcp", "mcp/team1", false},
		{"x/mcp/team1", "mcp/team1", false},
	} {
		if got := mustPath(t, c.path).Within(mustPath(t, c.root)); got != c.want {
			t.Errorf("%s within %s: got %v, want %v", c.path, c.root, got, c.want)
		}
	}
}

func TestPathAncestors(t *testing.T) {
	got, want := mustPath(t, "a/b/c").Ancestors(), []string{"a/b/c", "a/b", "a"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := (call.Path{}).Ancestors(); got != nil {
		t.Errorf("ancestors of nothing: got %v, want none", got)
	}
}

func TestParsePrefix(t *testing.T) {
	for s, want := range map[string]string{"": "", "a": "a", "a/": "a", "a/b/": "a/b"} {
		if p, err := call.ParsePrefix(s); err != nil || p.String() != want {
			t.Errorf("ParsePrefix(%q) = %q, %v, want %q", s, p, err, want)
		}
	}
	for _, s := range []string{"/", "a//", "../", "a/../"} {
		if _, err := call.ParsePrefix(s); !call.Is(err, call.InvalidRequest) {
			t.Errorf("ParsePrefix(%q): got %v, want %s", s, err, call.InvalidRequest)
		}
	}
}

func TestParseNameAndSubject(t *testing.T) {
	for _, s := range []string{"a", "mcp", "my-key_1.v2"} {
		if n, err := call.ParseName(s); err != nil || string(n) != s {
			t.Errorf("ParseName(%q) = %q, %v", s, n, err)
		}
	}
	for _, s := range []string{"", ".", "..", "-a", "a-", "a/b", "a b", "a\n", "ä", strings.Repeat("a", 129), "{{x}}", "a*"} {
		if _, err := call.ParseName(s); err == nil {
			t.Errorf("ParseName(%q) passed", s)
		}
	}
	for _, s := range []string{"agent_api", "bob@example.com", "ci-1"} {
		if got, err := call.ParseSubject(s); err != nil || got != s {
			t.Errorf("ParseSubject(%q) = %q, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "../victim", "..", ".a", "a/b", "a b", "a\n", "a*", "{{x}}", "CN=a,OU=b", strings.Repeat("a", 129)} {
		if _, err := call.ParseSubject(s); err == nil {
			t.Errorf("ParseSubject(%q) passed", s)
		}
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"a/b", "../x", "a//b", "a%2f", "a:b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := call.ParsePath(s)
		if err != nil {
			return
		}
		if p.String() != s {
			t.Fatalf("%q became %q", s, p)
		}
		for seg := range strings.SplitSeq(s, "/") {
			if seg == "" || seg == "." || seg == ".." || strings.ContainsAny(seg, "\x00\n") {
				t.Fatalf("%q passed", s)
			}
		}
	})
}

func mustPath(t *testing.T, s string) call.Path {
	t.Helper()
	p, err := call.ParsePath(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func ExampleParsePath() {
	p, _ := call.ParsePath("mcp/agent/app")
	fmt.Println(p, p.Ancestors())
	_, err := call.ParsePath("mcp/../../sys/mounts")
	fmt.Println(call.AsError(err).Code)
	// Output:
	// mcp/agent/app [mcp/agent/app mcp/agent mcp]
	// invalid_request
}

func TestParseFolder(t *testing.T) {
	for s, want := range map[string]string{"": "", "/": "", "a": "a", "a/": "a", "kv://secret/": "kv://secret", "kv://secret/a/": "kv://secret/a"} {
		if f, err := call.ParseFolder(s); err != nil || f.String() != want {
			t.Errorf("ParseFolder(%q) = %q, %v, want %q", s, f, err, want)
		}
	}
	for _, s := range []string{"//", "/a", "a//", "..", "./"} {
		if _, err := call.ParseFolder(s); !call.Is(err, call.InvalidRequest) {
			t.Errorf("ParseFolder(%q): got %v, want %s", s, err, call.InvalidRequest)
		}
	}
}
