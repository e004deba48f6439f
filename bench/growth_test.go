package main

import (
	"errors"
	"flag"
	"io"
	"strings"
	"testing"
)

func TestOptionsOfGrowthAndSoak(t *testing.T) {
	for _, args := range [][]string{{"--only", "everything"}, {"--rounds", "0"}, {"--turn", "1m"}, {"--most", "0"}, {"extra"}} {
		if _, err := parseGrowth(args, io.Discard); err == nil {
			t.Errorf("%q: accepted", args)
		}
	}
	for _, args := range [][]string{{"--for", "1s"}, {"--every", "1s"}, {"--rate", "0"}, {"extra"}} {
		if _, err := parseSoak(args, io.Discard); err == nil {
			t.Errorf("%q: accepted", args)
		}
	}
	for _, name := range []string{"growth", "soak"} {
		var out strings.Builder
		if err := command(t.Context(), []string{name, "--help"}, &out); !errors.Is(err, flag.ErrHelp) || !strings.Contains(out.String(), "Examples:") {
			t.Errorf("%s: got %v\n%s", name, err, out.String())
		}
	}
}

// TestWhatIsFlat: a table says what grows beside the proxy, and what each of a thing holds.
func TestWhatIsFlat(t *testing.T) {
	d := dimension{name: "streams", unit: "stream"}
	for of, want := range map[float64]string{2.2: "is flat (1.10 times)", 5: "grows to 2.50 times", 1: "falls to 0.50 times"} {
		got := d.table([]point{{n: 0, of: 2, cpu: 200, resident: 1 << 20}, {n: 1024, of: of, cpu: 300, resident: 3 << 20}})
		if !strings.Contains(got, want) || !strings.Contains(got, "A stream takes 2.0 KiB.") || !strings.Contains(got, "| 1024 | – | 300 µs |") {
			t.Errorf("want %q, got\n%s", want, got)
		}
	}
}

// TestTokens: what the issuer signs is three parts, and another one for each subject.
func TestTokens(t *testing.T) {
	i, err := newIssuer()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, alg := range []string{"RS256", "ES256"} {
		for _, who := range []string{"a", "b"} {
			token, err := i.token(alg, who)
			if err != nil || strings.Count(token, ".") != 2 || seen[token] {
				t.Errorf("%s: got %q, %v", alg, token, err)
			}
			seen[token] = true
		}
	}
	if raw, err := i.keys(); err != nil || !strings.Contains(string(raw), `"crv":"P-256"`) {
		t.Errorf("got %s, %v", raw, err)
	}
}
