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
  go run . packages                       a deb and an rpm for each architecture
  go run . release                        everything below dist/
  go run . release --arch amd64           for one architecture
  go run . release --number 1.2.3         with a version that no tag has
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

// maker makes something of the programs that were built.
type maker func(options, []program) error

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, progress io.Writer) error {
	made := map[string][]maker{
		"image":    {image},
		"packages": {packages},
		"release":  {archives, packages, bill, image, provenance, checksums},
	}
	if len(args) == 0 || made[args[0]] == nil {
		fmt.Fprint(progress, usage)
		flags(new(options), new(string)).PrintDefaults()
		return errors.New("say image, packages or release")
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
	for _, m := range made[args[0]] {
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
	f.StringVar(&o.version, "number", "", "`version`; what git says of the commit when empty")
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

// source finds out what is built: the version, the commit, and the time.
func (o *options) source(ctx context.Context) (err error) {
	if o.commit, err = o.git(ctx, "rev-parse", "HEAD"); err != nil {
		return err
	}
	if err := o.numbered(ctx); err != nil {
		return err
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

var (
	number    = regexp.MustCompile(`^\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?$`)
	described = regexp.MustCompile(`^v?(\d.*)-(\d+)-g([0-9a-f]+)(-dirty)?$`)
)

// numbered finds the version: that of the commit's own tag, or of the nearest one with the
// number of commits since, because a package manager takes only what sorts behind what is
// installed for an upgrade. Before the first tag all commits are counted.
func (o *options) numbered(ctx context.Context) error {
	if o.version != "" {
		if !number.MatchString(o.version) {
			return fmt.Errorf("--number: %q: want one like 1.2.3 or 1.2.3-rc.1", o.version)
		}
		return nil
	}
	if tag, err := o.git(ctx, "tag", "--merged", "HEAD", "--list", "v[0-9]*"); err != nil || tag == "" {
		return errors.Join(err, o.counted(ctx))
	}
	says, err := o.git(ctx, "describe", "--long", "--dirty", "--tags", "--match", "v[0-9]*")
	if err != nil {
		return err
	}
	m := described.FindStringSubmatch(says)
	if m == nil {
		return fmt.Errorf("git describe says %q, which has no version", says)
	}
	o.version = m[1]
	if m[2] != "0" || m[4] != "" {
		o.version += "+" + m[2] + ".g" + m[3] + strings.Replace(m[4], "-", ".", 1)
	}
	return nil
}

func (o *options) counted(ctx context.Context) error {
	count, err := o.git(ctx, "rev-list", "--count", "HEAD")
	if err != nil {
		return err
	}
	says, err := o.git(ctx, "describe", "--always", "--dirty", "--exclude", "*")
	o.version = "0.0.0+" + count + ".g" + strings.Replace(says, "-", ".", 1)
	return err
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
