package program

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// Whatever is put and asked in whatever order, the evaluator must get what its own
// cache would have said.
func TestResultsSayWhatTheEvaluatorsOwnCacheSays(t *testing.T) {
	mine := &results{}
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		own, depth := topdown.NewVirtualCache(), 0
		buf := ast.Ref{} // used again, as the evaluator does
		for range 400 {
			buf = someRef(rnd, buf)
			switch n := rnd.IntN(20); {
			case n == 0:
				mine.Push()
				own.Push()
				depth++
			case n == 1 && depth > 0:
				mine.Pop()
				own.Pop()
				depth--
			case n < 9:
				if v, undefined := own.Get(buf); v != nil || undefined {
					continue // a rule comes to one thing
				}
				var value *ast.Term
				if rnd.IntN(3) > 0 {
					value = ast.IntNumberTerm(rnd.IntN(5))
				}
				mine.Put(buf, value)
				own.Put(buf, value)
			default:
				got, gotUndefined := mine.Get(buf)
				want, wantUndefined := own.Get(buf)
				if got != want || gotUndefined != wantUndefined {
					t.Fatalf("seed %d, %v: got %v %v, want %v %v", seed, buf, got, gotUndefined, want, wantUndefined)
				}
			}
		}
		if got, want := len(mine.Keys()), len(own.Keys()); got != want {
			t.Fatalf("seed %d: %d keys, want %d", seed, got, want)
		}
		for ; depth > 0; depth-- {
			mine.Pop()
		}
		mine.reset()
		if v, undefined := mine.Get(buf); v != nil || undefined || len(mine.Keys()) > 0 {
			t.Fatalf("seed %d: something is left: %v %v", seed, v, mine.Keys())
		}
	}
}

// someRef writes one of about a hundred references, some the beginning of others.
func someRef(rnd *rand.Rand, buf ast.Ref) ast.Ref {
	buf = append(buf[:0], ast.DefaultRootDocument, ast.StringTerm("gateway"), ast.StringTerm(fmt.Sprint(rnd.IntN(40))))
	switch rnd.IntN(4) {
	case 0:
		buf = append(buf, ast.IntNumberTerm(rnd.IntN(3)))
	case 1:
		buf = append(buf, ast.ArrayTerm(ast.StringTerm("x")))
	}
	return buf
}
