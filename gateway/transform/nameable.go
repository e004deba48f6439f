package transform

import (
	"fmt"
	"slices"
	"time"

	"portcullis/gateway/transform/guest"
)

// Nameable says why a decision may not name a transform for an operation, nil when it
// may. Without an operation, or without arguments (nil), as much is checked as is known.
func (s *Set) Nameable(op, name string, args map[string]any) error {
	g := s.Pin()
	defer g.Release()
	return g.Nameable(op, name, args)
}

// Nameable is Set.Nameable for one generation.
func (g *Generation) Nameable(op, name string, args map[string]any) error {
	u := g.byName[name]
	switch {
	case u == nil:
		return ErrUnknown
	case !slices.Contains(u.hooks, guest.Response):
		return ErrHook
	case op != "" && !anyGlob(u.Select.Operations, op):
		return ErrSelect
	case args == nil:
		return nil
	case u.args == nil && len(args) > 0:
		return fmt.Errorf("%w: it takes none", ErrArgs)
	case u.args == nil:
		return nil
	}
	if err := u.args.Validate(args); err != nil {
		return fmt.Errorf("%w: %w", ErrArgs, err)
	}
	return nil
}

// Listed is what a manifest lists, and what is built in, to ask for names: no module is
// loaded, so nothing can be transformed. With an empty path there are only the built-ins.
func Listed(manifest string) (*Generation, error) {
	native, err := builtins(time.Now)
	if err != nil {
		return nil, err
	}
	g := &Generation{closed: true, byName: map[string]*loadedModule{}}
	for _, u := range native {
		g.byName[u.Name] = u
	}
	if manifest == "" {
		return g, nil
	}
	m, err := ReadManifest(manifest)
	if err != nil {
		return nil, err
	}
	for i := range m.Modules {
		u, err := newModule(&m.Modules[i], time.Now)
		if err != nil {
			return nil, fmt.Errorf("module %s: %w", m.Modules[i].Name, err)
		}
		g.byName[u.Name] = u
	}
	return g, nil
}
