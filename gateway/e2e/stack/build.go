package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Root finds the top of the project, from the working directory upwards.
func Root() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, serr := os.Stat(filepath.Join(dir, "Makefile")); serr == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no Makefile above the working directory")
		}
		dir = up
	}
	return "", err
}

// Build brings bin/portcullis and bin/devvault up to date, which takes a second
// when they are, and minutes for a first build of the dev Vault. Concurrent calls,
// of other processes too, wait for each other.
func Build(ctx context.Context) (root string, err error) {
	if root, err = Root(); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Join(root, "bin"), 0o750); err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Join(root, "bin", ".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	out, err := exec.CommandContext(ctx, "make", "-s", "-C", root, "build").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("make build: %w\n%s", err, out)
	}
	return root, nil
}

// BuildFleet brings bin/fleet up to date, which GatewayOptions.Fleet needs.
func BuildFleet(ctx context.Context, root string) error {
	out, err := exec.CommandContext(ctx, "go", "build", "-C", root, "-buildvcs=false", "-trimpath", "-o", "bin/", "./tools/conformance/fleet").CombinedOutput()
	if err != nil {
		return fmt.Errorf("build the fleet: %w\n%s", err, out)
	}
	return nil
}
