package transform

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Known is what there is for the selectors of a manifest to match.
type Known struct {
	Operations []string
	Mounts     []string // nil where they are not known, as for commands that have no configuration
}

// CheckSelectors refuses a module whose selectors match no operation or no mount that
// exists: it would silently never run, and a mandatory one would leave in plain what
// it is there to hide. The error joins every problem.
func (m *Manifest) CheckSelectors(k Known) error {
	var errs []error
	for i := range m.Modules {
		e := &m.Modules[i]
		errs = append(errs,
			matchesNothing(e.Name, "operations", e.Select.Operations, k.Operations),
			matchesNothing(e.Name, "mounts", e.Select.Mounts, k.Mounts))
	}
	return errors.Join(errs...)
}

func matchesNothing(module, field string, patterns, known []string) error {
	if known == nil {
		return nil
	}
	var errs []error
	for _, p := range patterns {
		if !slices.ContainsFunc(known, func(s string) bool { return glob(p, s) }) {
			errs = append(errs, fmt.Errorf("module %s: select.%s: %q matches none of %s", module, field, p, strings.Join(known, ", ")))
		}
	}
	return errors.Join(errs...)
}
