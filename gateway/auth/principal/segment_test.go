package principal_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"portcullis/gateway/auth/principal"
	"portcullis/gateway/call"
)

// TestKnownSubjectsKeepTheirSegments: the forms are promised, because secrets and
// grants lie under them.
func TestKnownSubjectsKeepTheirSegments(t *testing.T) {
	for raw, want := range map[string]string{
		"agent_api":                         "agent_api",
		"a.b@example.com":                   "a.b@example.com",
		"repo:acme/app:ref:refs/heads/main": "repo~3aacme~2fapp~3aref~3arefs~2fheads~2fmain",
		"system:serviceaccount:prod:app":    "system~3aserviceaccount~3aprod~3aapp",
		"auth0|5f7c8":                       "auth0~7c5f7c8",
		"project_path:g/p:ref_type:branch":  "project_path~3ag~2fp~3aref_type~3abranch",
		"../victim":                         "_~-~2e~2e~2fvictim",
		"a..b":                              "a.~2eb",
		"..":                                "_~-~2e~2e",
		".hidden":                           "_~-~2ehidden",
		"~acme":                             "_~-~7eacme",
		"repo~3aacme":                       "repo~7e3aacme",
		"a\x00b":                            "a~00b",
		"\u00e9":                            "_~-~c3~a9",
		"e\u0301":                           "e~cc~81",
		"{{identity.entity.name}}":          "_~-~7b~7bidentity.entity.name~7d~7d",
		strings.Repeat("a", 300):            strings.Repeat("a", 62) + "~~9835fa6bf4e20a9b9ea812506302e98982721a6cf8d2cae67af57129bf21ae90",
		strings.Repeat("a", 128):            strings.Repeat("a", 128),
	} {
		if got := principal.Segment(raw); got != want {
			t.Errorf("%.60q: got %s, want %s", raw, got, want)
		}
	}
}

// TestTwoSubjectsNeverShareASegment maps generated subjects of every kind: plain
// ones, escaped-looking ones, letters in two forms and two cases, long ones that
// differ at their ends, and what mapping itself has made.
func TestTwoSubjectsNeverShareASegment(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	bits := []string{
		"a", "A", "b", "-", "_", "@", ".", "..", "~", "~~", "_~-", "~-", "~2e", "2e", "3a", ":", "/", "|", " ", "%", "\\", "\x00", "\n",
		"\u00e9", "e\u0301", "\u00c9", "\u212b", "\u00e5", "\u0430", "system:", "repo:", strings.Repeat("x", 61), strings.Repeat("x", 128), strings.Repeat("x", 200),
	}
	from := map[string]string{}
	check := func(raw string) {
		got := principal.Segment(raw)
		if old, ok := from[got]; ok && old != raw {
			t.Fatalf("%q and %q are both %s", old, raw, got)
		}
		from[got] = raw
		if _, err := call.ParseSubject(got); err != nil {
			t.Fatalf("%q: %q is no safe segment", raw, got)
		}
		if principal.Plain(raw) && got != raw {
			t.Fatalf("%q became %s", raw, got)
		}
	}
	for range 40000 {
		var b strings.Builder
		for range 1 + rnd.IntN(6) {
			b.WriteString(bits[rnd.IntN(len(bits))])
		}
		raw := b.String()
		check(raw)
		check(principal.Segment(raw))
		check(strings.ToUpper(raw))
		check(raw + fmt.Sprint(rnd.IntN(9)))
	}
}

// TestMappedSubjectsStayOutsideTenants: a subject that begins like a tenant's tree
// is not in it.
func TestMappedSubjectsStayOutsideTenants(t *testing.T) {
	base, err := call.ParsePath("mcp")
	if err != nil {
		t.Fatal(err)
	}
	tenant := call.Caller{Subject: "bot", Tenant: "acme"}
	if err := principal.Check(&tenant, base); err != nil {
		t.Fatal(err)
	}
	for _, raw := range []string{"~acme", "~acme/bot", "\x7facme", ":acme"} {
		c := call.Caller{Subject: principal.Segment(raw)}
		if err := principal.Check(&c, base); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(c.Prefix.String(), "mcp/~") || tenant.Prefix.Within(c.Prefix) || c.Prefix.Within(tenant.Prefix) {
			t.Errorf("%q: %s meets %s", raw, c.Prefix, tenant.Prefix)
		}
	}
}

// FuzzSegment holds every subject to one safe segment that gives it back.
func FuzzSegment(f *testing.F) {
	for _, s := range []string{"a", "a:b", "~", "..", "_~-", "\u00e9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if raw == "" {
			return
		}
		got := principal.Segment(raw)
		if _, err := call.ParseSubject(got); err != nil {
			t.Errorf("%q became %q", raw, got)
		}
		if !strings.Contains(got, "~~") && back(t, got) != raw {
			t.Errorf("%q became %q, which means %q", raw, got, back(t, got))
		}
	})
}

// back reads a mapped subject, as a person with its rules would.
func back(t *testing.T, s string) string {
	t.Helper()
	s = strings.TrimPrefix(s, "_~-")
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '~' {
			b.WriteByte(s[i])
			continue
		}
		var c int
		if _, err := fmt.Sscanf(s[i+1:i+3], "%02x", &c); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		b.WriteByte(byte(c))
		i += 2
	}
	return b.String()
}
