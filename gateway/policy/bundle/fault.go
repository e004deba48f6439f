package bundle

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
)

// Fault is something in a file that keeps the bundle from being read.
type Fault struct {
	Name string // of the file, with its place once it is reported
	Line int
	Msg  string
	Cure string
}

// Error implements error.
func (f *Fault) Error() string { return f.Name + ":" + strconv.Itoa(f.Line) + ": " + f.Msg }

// Faults are all that keeps a bundle from being read.
type Faults struct {
	All   []*Fault
	Files []File // rules and tests that could be read
}

// Error implements error.
func (f *Faults) Error() string { return errors.Join(f.Unwrap()...).Error() }

// Unwrap are the faults.
func (f *Faults) Unwrap() (all []error) {
	for _, one := range f.All {
		all = append(all, one)
	}
	return all
}

// add takes an error that is a fault, and returns any other.
func (f *Faults) add(err error) error {
	if one, ok := errors.AsType[*Fault](err); ok {
		f.All = append(f.All, one)
		return nil
	}
	return err
}

// of are the faults of a bundle that has been read as far as it can be, as an error.
func (f *Faults) of(b *Bundle) error {
	if len(f.All) == 0 {
		return nil
	}
	f.Files = append(b.Rules, b.Tests...)
	return f
}

// yamlFault finds the line in what the YAML decoder says.
func yamlFault(name string, err error) *Fault {
	f := &Fault{Name: name, Line: 1, Msg: err.Error(), Cure: "write one YAML or JSON document that is an object, every key once"}
	if m := regexp.MustCompile(`line (\d+): (?s:(.*))`).FindStringSubmatch(f.Msg); m != nil {
		f.Line, _ = strconv.Atoi(m[1])
		f.Msg = m[2]
	}
	f.Msg = strings.Join(strings.Fields(strings.TrimPrefix(f.Msg, "yaml: ")), " ")
	return f
}
