package token

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json"

	"portcullis/gateway/auth/jose"
	"portcullis/gateway/auth/rule"
)

// Bounds of what is passed to the policy: claims, and bytes of their JSON in all.
const (
	maxPassed      = 32
	maxPassedBytes = 16 << 10
)

var passedName = regexp.MustCompile(`^[A-Za-z_][\w.:-]{0,63}$`)

// passed is one claim that the policy gets to see.
type passed struct{ name, from string }

// parsePassed reads JWT_CLAIMS_TO_POLICY: each entry is a claim's name, or
// name=claim, where the claim is a name, a dotted path or a JSON pointer.
func parsePassed(entries []string) ([]passed, error) {
	var out []passed
	var errs []error
	seen := map[string]bool{}
	for _, e := range entries {
		name, from, renamed := strings.Cut(e, "=")
		if !renamed {
			from = name
		}
		switch {
		case !passedName.MatchString(name):
			errs = append(errs, fmt.Errorf("JWT_CLAIMS_TO_POLICY: %q: want name or name=/json/pointer, the name of letters, digits, '_', '.', ':' and '-'", e))
		case from == "":
			errs = append(errs, fmt.Errorf("JWT_CLAIMS_TO_POLICY: %q names no claim", e))
		case seen[name]:
			errs = append(errs, fmt.Errorf("JWT_CLAIMS_TO_POLICY: %s is there twice", name))
		}
		seen[name] = true
		out = append(out, passed{name, from})
	}
	if len(out) > maxPassed {
		errs = append(errs, fmt.Errorf("JWT_CLAIMS_TO_POLICY: more than %d claims", maxPassed))
	}
	return out, errors.Join(errs...)
}

// pass returns the chosen claims that the token has, nil for none. What is larger
// than the bound is refused: without it a rule that denies would be skipped.
func pass(chosen []passed, b body) (map[string]any, error) {
	var out map[string]any
	for _, p := range chosen {
		v, ok := b.find(p.from)
		if !ok {
			continue
		}
		if out == nil {
			out = map[string]any{}
		}
		out[p.name] = plain(v)
	}
	raw, err := json.Marshal(out)
	if err != nil || len(raw) > maxPassedBytes {
		return nil, fmt.Errorf("%w: more than %d bytes for the policy", rule.ClaimSize, maxPassedBytes)
	}
	return out, nil
}

// plain gives a claim JSON types alone: a whole number that float64 would round is
// its text.
func plain(v any) any {
	switch v := v.(type) {
	case jose.Digits:
		return string(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = plain(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = plain(e)
		}
		return out
	}
	return v
}
