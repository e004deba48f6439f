package document

import (
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
)

// memoSize bounds how many terms a memo keeps. That of a caller takes 2 KiB.
const memoSize = 1024

// memo keeps terms that come again with every call: who calls, and what. A term is
// never changed once it is built, so calls share it.
type memo struct {
	mu    sync.RWMutex // guards terms
	terms map[string]*ast.Term
}

func newMemo() *memo { return &memo{terms: map[string]*ast.Term{}} }

// term returns the term of a key, which must hold everything that build reads.
func (m *memo) term(key []byte, build func() *ast.Term) *ast.Term {
	m.mu.RLock()
	t := m.terms[string(key)]
	m.mu.RUnlock()
	if t != nil {
		return t
	}
	t = build()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.terms) >= memoSize {
		clear(m.terms)
	}
	m.terms[string(key)] = t
	return t
}
