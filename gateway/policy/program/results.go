package program

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// fewResults is how many rules' results are looked through; what is more goes into
// the evaluator's own cache.
const fewResults = 32

// results keeps what rules have come to during one evaluation, as the evaluator's
// own cache does. A decision has about ten, and looking through so few costs less
// than a tree of maps. It implements topdown.VirtualCache.
type results struct {
	list  []ruleResult
	terms []*ast.Term          // what the references are made of
	more  topdown.VirtualCache // beyond fewResults, nil until then
	inner topdown.VirtualCache // of a `with`, in which rules may come to something else
	depth int                  // of nested ones
}

// ruleResult has no value when the rule is undefined.
type ruleResult struct {
	ref   ast.Ref
	value *ast.Term
}

// Push begins a `with`.
func (r *results) Push() {
	if r.depth++; r.depth > 1 {
		r.inner.Push()
		return
	}
	r.inner = topdown.NewVirtualCache()
}

// Pop ends it.
func (r *results) Pop() {
	if r.depth--; r.depth > 0 {
		r.inner.Pop()
		return
	}
	r.inner = nil
}

// Get returns what a rule has come to; without a value the second result says
// whether that is known.
func (r *results) Get(ref ast.Ref) (value *ast.Term, undefined bool) {
	if r.depth > 0 {
		return r.inner.Get(ref)
	}
	if x := r.find(ref); x != nil {
		return x.value, x.value == nil
	}
	if r.more != nil {
		return r.more.Get(ref)
	}
	return nil, false
}

// Put notes what a rule has come to, nil for undefined. The evaluator uses the
// reference again, so it is copied.
func (r *results) Put(ref ast.Ref, value *ast.Term) {
	if r.depth > 0 {
		r.inner.Put(ref, value)
		return
	}
	if x := r.find(ref); x != nil {
		x.value = value
		return
	}
	if len(r.list) == fewResults {
		if r.more == nil {
			r.more = topdown.NewVirtualCache()
		}
		r.more.Put(ref, value)
		return
	}
	start := len(r.terms)
	r.terms = append(r.terms, ref...)
	r.list = append(r.list, ruleResult{r.terms[start:len(r.terms):len(r.terms)], value})
}

// Keys returns the references that have a value.
func (r *results) Keys() (refs []ast.Ref) {
	if r.depth > 0 {
		return r.inner.Keys()
	}
	for _, x := range r.list {
		if x.value != nil {
			refs = append(refs, x.ref)
		}
	}
	if r.more != nil {
		refs = append(refs, r.more.Keys()...)
	}
	return refs
}

func (r *results) find(ref ast.Ref) *ruleResult {
	for i := range r.list {
		if x := &r.list[i]; sameRef(x.ref, ref) {
			return x
		}
	}
	return nil
}

// sameRef compares from the end, where references differ.
func sameRef(a, b ast.Ref) bool {
	if len(a) != len(b) {
		return false
	}
	for i := len(a) - 1; i >= 0; i-- {
		if a[i] != b[i] && !a[i].Equal(b[i]) {
			return false
		}
	}
	return true
}

// reset forgets everything but the space.
func (r *results) reset() {
	clear(r.list)
	clear(r.terms)
	*r = results{list: r.list[:0], terms: r.terms[:0]}
}

// unkept keeps no documents of the data: the store holds them in the evaluator's
// form, so reading one again costs less than keeping it. It implements
// topdown.BaseCache.
type unkept struct{}

// Get returns nil.
func (unkept) Get(ast.Ref) ast.Value { return nil }

// Put does nothing.
func (unkept) Put(ast.Ref, ast.Value) {}
