// Command gen writes everything that is derived from the catalogue: the table of
// operations in the README, their reference, and the OpenAPI document. With -check
// it writes nothing and exits with 1 when a file is not what it would write.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"portcullis/gateway/config"
	"portcullis/gateway/obs"
	"portcullis/gateway/op"
	"portcullis/gateway/openapi"
	"portcullis/gateway/ops"
)

func main() { os.Exit(run(os.Args[1:], ".", os.Stderr)) }

// artifact is a file and how its content follows from the catalogue and from what
// is in it.
type artifact struct {
	file string
	make func(c *op.Catalogue, old []byte) ([]byte, error)
}

func artifacts() []artifact {
	return []artifact{
		{"README.md", readme},
		{"gateway/ops/OPERATIONS.md", func(c *op.Catalogue, _ []byte) ([]byte, error) { return reference(c), nil }},
		{"gateway/docs/configuration.md", func(*op.Catalogue, []byte) ([]byte, error) { return config.Markdown() }},
		{"gateway/docs/dangers.md", func(*op.Catalogue, []byte) ([]byte, error) { return config.DangersMarkdown(), nil }},
		{"gateway/docs/metrics.md", func(*op.Catalogue, []byte) ([]byte, error) { return obs.Table(), nil }},
		{"gateway/openapi/openapi.json", func(c *op.Catalogue, _ []byte) ([]byte, error) {
			raw, err := openapi.New(c, nil).JSON()
			return append(raw, '\n'), err
		}},
	}
}

// run returns the exit code: 0 done, 1 failed or stale, 2 wrong usage.
func run(args []string, root string, stderr io.Writer) int {
	flags := flag.NewFlagSet("gen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	check := flags.Bool("check", false, "write nothing; fail when something is not up to date")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "usage: gen [-check]")
		return 2
	}
	c, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh", PKI: "pki", TOTP: "totp", Creds: "aws", Wrapping: true})
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	code := 0
	for _, a := range artifacts() {
		if err := a.update(c, root, *check); err != nil {
			fmt.Fprintf(stderr, "%s: %v\n", a.file, err)
			code = 1
		}
	}
	return code
}

var errStale = errors.New("not up to date: run make gen")

func (a artifact) update(c *op.Catalogue, root string, check bool) error {
	name := filepath.Join(root, a.file)
	old, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	now, err := a.make(c, old)
	if err != nil || bytes.Equal(old, now) {
		return err
	}
	if check {
		return errStale
	}
	return os.WriteFile(name, now, 0o644)
}
