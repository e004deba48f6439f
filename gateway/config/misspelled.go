package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// nearest is the known key that a name is at most two edits away from, empty for
// none.
func nearest(name string) string {
	best, distance := "", 3
	for _, key := range slices.Sorted(maps.Keys(keys())) {
		if len(key) >= len(name)+distance || len(name) >= len(key)+distance {
			continue // as many edits at least
		}
		if n := levenshtein.ComputeDistance(name, key); n < distance {
			best, distance = key, n
		}
	}
	return best
}

func didYouMean(name string) string {
	if key := nearest(name); key != "" {
		return "; did you mean " + key + "?"
	}
	return ""
}

// shortest is the length below which a variable is not compared: short names are
// everybody's (PATH is two edits from PORT).
const shortest = 8

// warnMisspelled warns of environment variables whose name is almost one of ours. A
// misspelled key is otherwise silent: nothing tells it from another program's.
func (c *Config) warnMisspelled(environ []string) {
	known := keys()
	for _, entry := range slices.Sorted(slices.Values(environ)) {
		name, _, _ := strings.Cut(entry, "=")
		if len(name) < shortest || !strings.Contains(name, "_") || known[name] || foreign(name) {
			continue
		}
		if key := nearest(name); key != "" {
			c.Warnings = append(c.Warnings, fmt.Sprintf("the environment has %s, which is not a key; did you mean %s?", name, key))
		}
	}
}

// foreign reports whether another program is known to use a variable whose name is
// close to one of ours.
func foreign(name string) bool {
	return slices.Contains([]string{"VAULT_CAPATH", "VAULT_FORMAT", "OTEL_EXPORTER_OTLP_ENDPOINTS"}, name) ||
		slices.Contains(retired(), name)
}
