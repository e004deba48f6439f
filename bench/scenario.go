package main

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxConnections bounds the connections, and maxStreams the event streams, of a run.
const (
	maxConnections = 2000
	maxStreams     = 20_000
)

// scenario is a mix of calls, from a YAML file.
type scenario struct {
	Name        string         `yaml:"-"`
	Doc         string         `yaml:"doc"`
	Over        []string       `yaml:"over"`        // rest, mcp, session, vault for the Vault API: one target each
	Connections int            `yaml:"connections"` // 16 unless it is said
	Rate        float64        `yaml:"rate"`        // requests that arrive a second; 0 for a closed loop
	OfPeak      float64        `yaml:"of_peak"`     // the rate as a share of what the slowest target answers in a closed loop; 0 for what rate says
	Burst       int            `yaml:"burst"`       // as many arrive at once
	Streams     int            `yaml:"streams"`     // of events, open all the time
	Session     int            `yaml:"session"`     // calls in an MCP session, 50 unless it is said
	Secrets     map[string]int `yaml:"secrets"`     // to be written first, with their sizes in bytes; only to a Vault of bench's own
	Operations  []operation    `yaml:"operations"`
}

// operation is one kind of call in each of its forms.
type operation struct {
	Name      string         `yaml:"name"`
	Share     int            `yaml:"share"` // of the calls, in proportion to the others
	REST      form           `yaml:"rest"`
	Tool      string         `yaml:"tool"`
	Arguments map[string]any `yaml:"arguments"`
	Vault     form           `yaml:"vault"`  // to Vault itself, below /v1/; empty when there is no such request
	Expect    int            `yaml:"expect"` // status over REST, 200 unless it is said
	Contains  string         `yaml:"contains"`
}

// form is an HTTP request.
type form struct {
	Method string         `yaml:"method"`
	Path   string         `yaml:"path"`
	Body   map[string]any `yaml:"body"`
}

//go:embed scenarios/*.yaml
var shipped embed.FS

// load reads a scenario that is shipped, or a file.
func load(name string) (*scenario, error) {
	raw, err := shipped.ReadFile("scenarios/" + name + ".yaml")
	if errors.Is(err, fs.ErrNotExist) {
		raw, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, fmt.Errorf("no scenario %q: %w; bench list names those that are shipped", name, err)
	}
	s := &scenario{Name: strings.TrimSuffix(path.Base(name), ".yaml"), Connections: 16, Session: 50, Burst: 1}
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	dec.KnownFields(true)
	if err := dec.Decode(s); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, s.check()
}

func (s *scenario) check() error {
	if len(s.Operations) == 0 || len(s.Over) == 0 {
		return fmt.Errorf("%s: it needs over and operations", s.Name)
	}
	if s.Connections < 1 || s.Connections > maxConnections || s.Streams > maxStreams || s.Rate < 0 || s.Rate > 100_000 || s.OfPeak < 0 || s.OfPeak > 1 || s.Burst < 1 || s.Session < 1 {
		return fmt.Errorf("%s: connections must be 1 to %d, streams at most %d, rate at most 100000, of_peak at most 1, burst and session at least 1", s.Name, maxConnections, maxStreams)
	}
	for i := range s.Operations {
		o := &s.Operations[i]
		if o.Share == 0 {
			o.Share = 1
		}
		if o.Expect == 0 {
			o.Expect = 200
		}
		for _, over := range s.Over {
			switch {
			case over == "rest" && o.REST.Path == "", over == "vault" && o.Vault.Path == "", (over == "mcp" || over == "session") && o.Tool == "":
				return fmt.Errorf("%s: operation %q has no form over %s", s.Name, o.Name, over)
			case names[over] == "":
				return fmt.Errorf("%s: over must be rest, mcp, session or vault", s.Name)
			}
		}
	}
	return nil
}

// direct reports whether Vault itself answers every operation.
func (s *scenario) direct() bool {
	for _, o := range s.Operations {
		if o.Vault.Path == "" {
			return false
		}
	}
	return true
}

// order is in which order the operations come, as numbers. It is the same for each target.
func (s *scenario) order() []int {
	var out []int
	for i, o := range s.Operations {
		for range o.Share {
			out = append(out, i)
		}
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// describe lists the scenarios that are shipped.
func describe(out io.Writer) error {
	files, err := fs.Glob(shipped, "scenarios/*.yaml")
	if err != nil {
		return err
	}
	for _, f := range files {
		name := strings.TrimSuffix(path.Base(f), ".yaml")
		s, err := load(name)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%-16s %s\n", name, s.Doc); err != nil {
			return err
		}
	}
	return nil
}
