package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// program is a built gateway.
type program struct {
	arch string
	file string
}

// build compiles the gateway for each architecture. Nothing of the place or the time of
// the build is in the result.
func build(ctx context.Context, o options) ([]program, error) {
	var out []program
	for _, arch := range o.archs {
		p := program{arch, filepath.Join(o.out, "portcullis-linux-"+arch)}
		c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
			"-ldflags", "-s -w -buildid= -X main.version="+o.version, "-o", p.file, "./gateway")
		c.Dir, c.Stdout, c.Stderr = o.root, os.Stderr, os.Stderr
		c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOFLAGS=")
		if err := c.Run(); err != nil {
			return nil, fmt.Errorf("build for %s: %w", arch, err)
		}
		out = append(out, p)
	}
	return out, nil
}
