package transform

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"portcullis/gateway/transform/guest"
)

// Generation is one immutable set of modules. It lives until the set has a newer
// one and the last call that pinned it has released it.
type Generation struct {
	// Number counts generations from 1.
	Number uint64
	// Loaded is when it began to serve.
	Loaded  time.Time
	modules []*loadedModule
	byName  map[string]*loadedModule
	logs    []*step
	engine  *guest.Engine
	penalty fuelPenalty
	// refs counts the set itself and every pin. It never leaves zero again.
	refs atomic.Int64
	// closed marks what a closed set gives out.
	closed bool
}

// build loads everything that the manifest lists, or nothing. Without a module
// no engine is started.
func build(ctx context.Context, m *Manifest, o Options) (*Generation, error) {
	g := &Generation{Loaded: o.Now(), byName: map[string]*loadedModule{}}
	g.refs.Store(1)
	native, err := builtins(o.Now)
	if err != nil {
		return nil, err
	}
	for _, u := range native {
		g.byName[u.Name] = u
	}
	if len(m.Modules) == 0 {
		return g, g.order()
	}
	engine, err := guest.NewEngine(ctx, o.CacheDir)
	if err != nil {
		return nil, err
	}
	g.engine = engine
	if err := g.load(m, o); err != nil {
		return nil, errors.Join(err, engine.Close())
	}
	return g, g.order()
}

func (g *Generation) load(m *Manifest, o Options) error {
	l := &loader{m: m, engine: g.engine, o: o}
	if err := l.signers(); err != nil {
		return err
	}
	var errs []error
	for i := range m.Modules {
		e := &m.Modules[i]
		u, err := l.load(e)
		if err != nil {
			errs = append(errs, fmt.Errorf("module %s: %w", e.Name, err))
			continue
		}
		g.byName[e.Name] = u
	}
	return errors.Join(errs...)
}

// order sorts the units and prepares the plan of the log hook, which is the same
// for every record.
func (g *Generation) order() error {
	for _, u := range g.byName {
		g.modules = append(g.modules, u)
	}
	slices.SortFunc(g.modules, func(a, b *loadedModule) int { return compare(a.Entry, b.Entry) })
	p, err := g.Plan(Call{Hook: guest.Log}, nil)
	g.logs = p.steps
	return err
}

// retain pins the generation unless it is already closed.
func (g *Generation) retain() bool {
	for {
		n := g.refs.Load()
		if n == 0 {
			return false
		}
		if g.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release ends one pin. The last one closes the generation.
func (g *Generation) Release() {
	if g.refs.Add(-1) == 0 && g.engine != nil {
		_ = g.engine.Close() // frees memory; there is nothing left to fail
	}
}
