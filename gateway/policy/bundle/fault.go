package bundle

import (
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
