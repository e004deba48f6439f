package cookbook_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metrics"

	"portcullis/gateway/e2e"
	"portcullis/gateway/ops"
	"portcullis/gateway/vault/vaulttest"
)

const recipes = "../../../policies/cookbook"

// TestRecipesWithRealCalls makes the calls of every recipe.
func TestRecipesWithRealCalls(t *testing.T) {
	k := newKitchen(t, vaulttest.Start(t, "--postgres", e2e.StartPostgres(t).DSN()))
	dirs, err := filepath.Glob(recipes + "/[0-9]*")
	if err != nil || len(dirs) == 0 {
		t.Fatal("no recipes", err)
	}
	for _, dir := range dirs {
		name := filepath.Base(dir)
		t.Run(name, func(t *testing.T) {
			for i, s := range read(t, "testdata/"+name+".txt") {
				t.Run(string(rune('a'+i)), func(t *testing.T) { k.follow(t, dir, s) })
			}
		})
	}
}

// TestNoCallsWithoutARecipe: a file whose recipe is gone proves nothing.
func TestNoCallsWithoutARecipe(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if _, err := os.Stat(filepath.Join(recipes, strings.TrimSuffix(filepath.Base(f), ".txt"))); err != nil {
			t.Error(err)
		}
	}
}

func (k *kitchen) follow(t *testing.T, dir string, s *script) {
	t.Helper()
	cat, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range s.secrets {
		k.vault.Write("secret/data/"+path, map[string]any{"data": map[string]any{"user": "u", "password": "obviously-fake"}})
	}
	for _, w := range s.vault {
		var body map[string]any
		decode(t, []byte(w[1]), &body)
		k.vault.Write(w[0], body)
	}
	c := &client{kitchen: k, url: k.serve(t, k.changed(t, dir, s), s), ops: cat, callers: s.callers}
	for _, st := range s.steps {
		switch st.op {
		case "sees", "lacks":
			if slices.Contains(c.tools(t, st), st.args) != (st.op == "sees") {
				t.Errorf("line %d: %s %s %s: it is not so", st.line, st.who, st.op, st.args)
			}
		default:
			k.expect(t, "REST", st, c.rest)
			k.expect(t, "MCP", st, c.tool)
		}
	}
}

// expect makes a call and holds its answer against the step.
func (k *kitchen) expect(t *testing.T, transport string, st step, call func(*testing.T, step) answer) {
	t.Helper()
	words := strings.Fields(st.expect)
	a := call(t, st)
	code, rest := words[0], words[1:]
	refused := slices.Contains([]string{"forbidden", "insufficient_scope", "policy_error", "rate_limited"}, a.code)
	switch {
	case code == "forbidden" && a.code == hidden:
		return // the caller's list has no such tool, so nobody asked why
	case code == "passed" && refused, code != "passed" && a.code != code:
		t.Fatalf("line %d: %s: %s %s %s: got %s %v %v, want %s", st.line, transport, st.who, st.op, st.args, a.code, a.reasons, a.body, st.expect)
	case code != "ok" && code != "passed":
		for _, want := range rest {
			if !slices.Contains(a.reasons, want) {
				t.Errorf("line %d: %s: got the reasons %v, want %s", st.line, transport, a.reasons, want)
			}
		}
		return
	}
	again := func() answer { return call(t, st) }
	for len(rest) > 0 {
		next, err := k.holds(t, &a, rest, again)
		if err != nil {
			t.Errorf("line %d: %s: %v", st.line, transport, err)
		}
		rest = rest[next:]
	}
}

// holds checks the first of the words behind ok and returns how many it took.
func (k *kitchen) holds(t *testing.T, a *answer, words []string, again func() answer) (int, error) {
	t.Helper()
	switch words[0] {
	case "shows", "hides":
		return 2, a.fields(strings.Split(words[1], ","), words[0] == "hides")
	case "most":
		n, ok := a.number(words[1])
		if limit, err := strconv.ParseFloat(words[2], 64); err != nil || !ok || n <= 0 || n > limit {
			return 3, fmt.Errorf("%s is %v in %v, want at most %s", words[1], n, a.body, words[2])
		}
		return 3, nil
	case "wrapped":
		var inner struct{ Data map[string]any }
		status := k.vault.Do(vaulttest.Request{Method: "PUT", Path: "sys/wrapping/unwrap", Token: a.token()}, &inner)
		if status != 200 || len(inner.Data) == 0 {
			return 1, fmt.Errorf("got %v, want a wrapping token; unwrap answers %d", a.body, status)
		}
		a.body = inner.Data
		return 1, nil
	case "dry":
		tried := metrics.GetOrCreateCounter(`portcullis_policy_dry_run_total{rule="` + words[1] + `"}`)
		before := tried.Get()
		if again(); tried.Get() != before+1 {
			return 2, fmt.Errorf("the rule %s was counted %d times", words[1], tried.Get()-before)
		}
		return 2, nil
	case "cached":
		before := decided("cache")
		if b := again(); b.code != a.code || decided("cache") != before+1 {
			return 1, fmt.Errorf("made again: %s, from the cache %d times", b.code, decided("cache")-before)
		}
		return 1, nil
	}
	return 1, fmt.Errorf("nobody knows what %q says", words[0])
}

// number is one of the answer, or of what is said of the token that it is wrapped in.
func (a *answer) number(name string) (float64, bool) {
	if info, ok := a.body["wrap_info"].(map[string]any); ok {
		n, ok := info[name].(float64)
		return n, ok
	}
	n, ok := a.body[name].(float64)
	return n, ok
}

// token is the token that the answer is wrapped in, empty when it is not.
func (a *answer) token() string {
	info, _ := a.body["wrap_info"].(map[string]any)
	token, _ := info["token"].(string)
	return token
}

// fields holds the fields of a secret against their names: these and no others, with
// their values or masked.
func (a *answer) fields(names []string, hidden bool) error {
	data, _ := a.body["data"].(map[string]any)
	for _, name := range names {
		v, there := data[name]
		if !there || (v != "u" && v != "obviously-fake") != hidden {
			return fmt.Errorf("%s is %v, want it masked: %v", name, v, hidden)
		}
	}
	if len(data) != len(names) {
		return fmt.Errorf("got the fields %v, want %v alone", data, names)
	}
	return nil
}

// decided counts the decisions that came from somewhere.
func decided(from string) uint64 {
	return metrics.GetOrCreateCounter(`portcullis_policy_decisions_total{from="` + from + `"}`).Get()
}

// changed is a copy of a recipe with the changes of a script.
func (k *kitchen) changed(t *testing.T, dir string, s *script) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	for _, more := range s.data {
		raw, err := os.ReadFile(filepath.Join(to, "data.yaml"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		write(t, filepath.Join(to, "data.yaml"), append(raw, "\n"+more...))
	}
	for _, r := range s.replace {
		file := filepath.Join(to, r[0])
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(raw), r[1]) {
			t.Fatalf("%s has no %q", r[0], r[1])
		}
		write(t, file, []byte(strings.ReplaceAll(string(raw), r[1], k.expand(r[2]))))
	}
	return to
}

// expand puts the fingerprints of certificates in their place: ${fp:NAME}.
func (k *kitchen) expand(text string) string {
	name, rest, ok := strings.Cut(strings.TrimPrefix(text, "${fp:"), "}")
	if !ok || !strings.HasPrefix(text, "${fp:") {
		return text
	}
	sum := sha256.Sum256(k.cert(name).Cert.Raw)
	return hex.EncodeToString(sum[:]) + rest
}
