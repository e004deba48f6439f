// Command release makes what operators install: an OCI image, archives and packages with
// checksums, a bill of materials and a statement of how they were built. The same
// sources give the same bytes, wherever they are built.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const usage = `release makes an image or a release of Portcullis. Run it in tools/release, or use make.

  go run . image                          dist/image.tar, for "docker load" and "podman load"
  go run . release                        everything below dist/
  go run . release --arch amd64           for one architecture
  go run . release --sign-key key.pem     and sign the checksums (ed25519, PKCS 8 in PEM)

SOURCE_DATE_EPOCH is the time of every file (seconds since 1970), the last commit's when unset.

Flags:
`

// options are what a release is made from.
type options struct {
	root    string // of the project
	out     string
	archs   []string
	signKey string
	version string
	commit  string
	time    time.Time
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, progress io.Writer) error {
	if len(args) == 0 || args[0] != "image" && args[0] != "release" {
		fmt.Fprint(progress, usage)
		flags(new(options), new(string)).PrintDefaults()
		return errors.New("say image or release")
	}
	o, err := parse(ctx, args[1:])
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	fmt.Fprintf(progress, "building %s for %s\n", o.version, strings.Join(o.archs, " and "))
	programs, err := build(ctx, o)
	if err != nil {
		return err
	}
	made := []func(options, []program) error{image}
	if args[0] == "release" {
		made = []func(options, []program) error{archives, packages, bill, image, provenance, checksums}
	}
	for _, m := range made {
		if err := m(o, programs); err != nil {
			return err
		}
	}
	fmt.Fprintln(progress, "made", o.out)
	return nil
}

func flags(o *options, archs *string) *flag.FlagSet {
	f := flag.NewFlagSet("release", flag.ContinueOnError)
	f.StringVar(&o.root, "root", "../..", "`directory` of the project")
	f.StringVar(&o.out, "out", "", "`directory` for what is made; dist in the project's when empty")
	f.StringVar(archs, "arch", "amd64,arm64", "architectures, separated by commas")
	f.StringVar(&o.signKey, "sign-key", "", "`file` with the ed25519 key that signs the checksums")
	return f
}

func parse(ctx context.Context, args []string) (o options, err error) {
	var archs string
	if err := flags(&o, &archs).Parse(args); err != nil {
		return o, err
	}
	o.archs = strings.Split(archs, ",")
	for _, a := range o.archs {
		if a != "amd64" && a != "arm64" {
			return o, fmt.Errorf("--arch: %q: want amd64, arm64 or both", a)
		}
	}
	if o.root, err = filepath.Abs(o.root); err != nil {
		return o, err
	}
	if o.out == "" {
		o.out = filepath.Join(o.root, "dist")
	}
	return o, o.source(ctx)
}

var numbered = regexp.MustCompile(`^v?\d+\.\d+\.\d+`)

// source finds out what is built: the version by the nearest tag, the commit, and the time.
func (o *options) source(ctx context.Context) (err error) {
	if o.commit, err = o.git(ctx, "rev-parse", "HEAD"); err != nil {
		return err
	}
	described, err := o.git(ctx, "describe", "--always", "--dirty", "--tags")
	if err != nil {
		return err
	}
	if o.version = strings.TrimPrefix(described, "v"); !numbered.MatchString(described) {
		o.version = "0.0.0+" + described
	}
	epoch := os.Getenv("SOURCE_DATE_EPOCH")
	if epoch == "" {
		if epoch, err = o.git(ctx, "log", "-1", "--format=%ct"); err != nil {
			return err
		}
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH: %q is not a number of seconds", epoch)
	}
	o.time = time.Unix(seconds, 0).UTC()
	return nil
}

func (o *options) git(ctx context.Context, args ...string) (string, error) {
	c := exec.CommandContext(ctx, "git", args...)
	c.Dir, c.Stderr = o.root, os.Stderr
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}
