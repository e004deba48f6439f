package obs

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// expose writes a page of samples with a HELP and a TYPE line before each family, as
// Prometheus' text format asks (version 0.0.4): the lines of a family stand together.
// Families that skip names are left out.
func expose(w io.Writer, page []byte, skip func(family string) bool) {
	lines := map[string][]string{}
	s := bufio.NewScanner(bytes.NewReader(page))
	for s.Scan() {
		if line := s.Text(); line != "" && line[0] != '#' {
			name := familyName(line)
			lines[name] = append(lines[name], line)
		}
	}
	out := bufio.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		if skip(name) {
			continue
		}
		f := familyOf(name)
		fmt.Fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, f.help, name, f.kind)
		for _, line := range lines[name] {
			fmt.Fprintln(out, line)
		}
	}
	_ = out.Flush() // whoever asked has gone
}

// familyName is the name of the family that a sample belongs to: a histogram and a
// summary have samples with an ending of their own.
func familyName(line string) string {
	name := line
	if i := strings.IndexAny(line, "{ "); i >= 0 {
		name = line[:i]
	}
	for _, end := range []string{"_bucket", "_sum", "_count"} {
		if base, ok := strings.CutSuffix(name, end); ok {
			if k := familyOf(base).kind; k == "histogram" || k == "summary" && end != "_bucket" {
				return base
			}
		}
	}
	return name
}
