package main

import (
	"io"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/physical"
)

// Run is the program.
var Run = run

// OpenFiles opens the crash-safe storage.
func OpenFiles(dir string) (physical.Backend, error) {
	return openFiles(dir, hclog.NewNullLogger())
}

// StartProgress returns how to name the work and how to stop.
func StartProgress(out io.Writer) (now func(string), stop func()) {
	p := startProgress(out)
	return p.now, p.stop
}
