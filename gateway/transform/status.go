package transform

import (
	"time"
)

// Status is what /readyz and wasm plan show.
type Status struct {
	Generation uint64         `json:"generation"`
	Loaded     time.Time      `json:"loaded"`
	Error      string         `json:"error,omitempty"` // of the last reload
	Modules    []ModuleStatus `json:"modules"`
}

// ModuleStatus is one transform in the total order.
type ModuleStatus struct {
	Name        string   `json:"name"`
	Digest      string   `json:"digest"`
	Hooks       []string `json:"hooks"`
	Phase       string   `json:"phase"`
	Priority    int      `json:"priority"`
	Mandatory   bool     `json:"mandatory"`
	Quarantined bool     `json:"quarantined,omitempty"`
}

// Status describes the current generation.
func (s *Set) Status() Status {
	g := s.Pin()
	defer g.Release()
	st := Status{Generation: g.Number, Loaded: g.Loaded, Modules: g.Modules()}
	if err := s.failed.Load(); err != nil {
		st.Error = (*err).Error()
	}
	return st
}

// Modules lists the transforms in the order in which they run.
func (g *Generation) Modules() []ModuleStatus {
	var out []ModuleStatus
	for _, u := range g.modules {
		out = append(out, ModuleStatus{
			Name: u.Name, Digest: u.digest, Hooks: u.Hooks, Phase: u.phase(), Priority: u.Priority,
			Mandatory: u.mandatory(), Quarantined: u.breaker.quarantined(),
		})
	}
	return out
}

// Ready reports whether the last reload worked and no module is in quarantine.
func (s Status) Ready() bool {
	for _, m := range s.Modules {
		if m.Quarantined {
			return false
		}
	}
	return s.Error == ""
}
