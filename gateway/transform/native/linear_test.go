package native_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"portcullis/gateway/transform/native"
)

// pieces are the texts of which a caller can send a long run: every byte, and
// whatever the redactor has an eye for, with what makes it look further.
func pieces() []string {
	var all []string
	for c := range 256 {
		all = append(all, string([]byte{byte(c)}))
	}
	anchors := []string{
		"_", "AKIA", "ASIA", "AKIAIOSFODNN7EXAMPLE", "A", ".", "hvs.", "s.", "eyJ", "eyJhbGciOi.", "ghp_", "\\nghp_", "github_",
		"-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "-----BEGIN CERTIFICATE-----", "-----END ", "-",
		":", "://", "://a:", "://a:b@", ": ", "token: ", "token:", `"token":`, `"token":"`, `"token": `, `"token":{`, `"token":["`, `\"token\":\"`,
		`"token":\`, `"token":1`, "=", "token=", `token="`, "_token=", "-=", `"`, `\"`, `\\`, "{", "[", "}", "password", "AAAAAA", "secret-value-", " ",
	}
	for _, a := range anchors {
		all = append(all, a, a+"_", a+"A", a+".", a+"\\", a+"x ", "_"+a, "\n"+a)
	}
	return all
}

// learner is a redactor that knows many values with one beginning.
func learner() *native.Redactor {
	r := native.New()
	for n := range 200 {
		r.Learn("AAAAAA"+strings.Repeat("A", n*50), "secret-value-"+strings.Repeat("secret-value-", n), strings.Repeat("_", 6+n))
	}
	return r
}

// TestWorkIsLinear: no run of anything makes the redactor look at a text more often
// than in proportion to its length, whatever was learned.
func TestWorkIsLinear(t *testing.T) {
	const n = 40_000
	for name, r := range map[string]*native.Redactor{"nothing learned": native.New(), "learned": learner()} {
		for _, piece := range pieces() {
			one, two := run(piece, n), run(piece, 2*n)
			w1, w2 := r.Work(one), r.Work(two)
			if w2 > 48*len(two) || w2 > 5*w1/2+20*n/10 {
				t.Errorf("%s: %q: work %d at %d bytes, %d at %d", name, piece, w1, len(one), w2, len(two))
			}
		}
	}
}

// TestWorkOfMixturesIsLinear: nor does any mixture.
func TestWorkOfMixturesIsLinear(t *testing.T) {
	r, all := learner(), pieces()[256:]
	for i, a := range all {
		b := all[(i*7+3)%len(all)]
		text := run(a+b, 20_000)
		if w := r.Work(text); w > 48*len(text) {
			t.Errorf("%q and %q: work %d at %d bytes", a, b, w, len(text))
		}
		if half := append(run(a, 10_000), run(b, 10_000)...); r.Work(half) > 48*len(half) {
			t.Errorf("%q, then %q: work %d", a, b, r.Work(half))
		}
	}
}

func run(piece string, n int) []byte { return bytes.Repeat([]byte(piece), n/len(piece)+1)[:n] }

// TestAValueAmongManyIsFound: what bounds the work does not lose a value in an
// ordinary text.
func TestAValueAmongManyIsFound(t *testing.T) {
	r := learner()
	r.Learn("AAAAAA-is-the-one")
	if got := string(r.Append(nil, []byte("vault said: AAAAAA-is-the-one, sorry"))); got != "vault said: [redacted], sorry" {
		t.Errorf("got %q", got)
	}
}

func BenchmarkRuns(b *testing.B) {
	r := learner()
	for _, piece := range []string{"_", "AKIA", "hvs.", "-----BEGIN ", `"token":`, `\"`, "A", "secret-value-", "://"} {
		for _, n := range []int{100_000, 200_000, 1_000_000} {
			text := run(piece, n)
			b.Run(fmt.Sprintf("%q/%d", piece, n), func(b *testing.B) {
				b.SetBytes(int64(n))
				var dst []byte
				for b.Loop() {
					dst = r.Append(dst[:0], text)
				}
			})
		}
	}
}
