package main

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/hashicorp/go-hclog"
)

const help = `devvault runs a real Vault for development and tests. Never use it in production.

When it is ready it prints one line of JSON: addr, token, unseal_key, role_id, secret_id.

Examples:
  devvault                                          in memory, on 127.0.0.1:8200
  devvault --listen 127.0.0.1:0                     on a free port
  devvault --data .vault                            on files: a restart finds everything
  devvault --postgres postgres://u:p@localhost/db   with the database role "readonly"
  devvault --audit-file audit.log                   see every request that reached Vault
  devvault --standby 127.0.0.1:8210                 with a second node that takes over

Flags:
`

// options are the command line, checked.
type options struct {
	listen    string
	rootToken string
	postgres  string
	data      string
	standby   string
	auditFile string
	logLevel  hclog.Level
	tls       *tls.Config // nil: plain HTTP
}

// parseOptions reports every problem at once. Asked for help it writes that to
// out and returns [flag.ErrHelp].
func parseOptions(args []string, out io.Writer) (options, error) {
	var o options
	var level, cert, key string
	fs := flag.NewFlagSet("devvault", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&o.listen, "listen", "127.0.0.1:8200", "`address` to listen on; port 0 takes a free one")
	fs.StringVar(&o.rootToken, "root-token", "root", "`id` of the root token")
	fs.StringVar(&o.postgres, "postgres", "", "`DSN` of a PostgreSQL server for the database engine")
	fs.StringVar(&o.data, "data", "", "`directory` to keep everything in; without it everything is in memory")
	fs.StringVar(&o.standby, "standby", "", "`address` of a second node that stands by; in memory only")
	fs.StringVar(&o.auditFile, "audit-file", "", "`file` of an audit device that is enabled at start")
	fs.StringVar(&level, "log-level", "warn", "`level` of Vault's own log: trace, debug, info, warn, error or off")
	fs.StringVar(&cert, "tls-cert", "", "certificate `file` (PEM); with --tls-key it turns HTTPS on")
	fs.StringVar(&key, "tls-key", "", "private key `file` (PEM)")
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fs.SetOutput(out)
		fmt.Fprint(out, help)
		fs.PrintDefaults()
	}
	if err != nil {
		return o, err
	}
	o.logLevel = hclog.LevelFromString(level)
	o.tls, err = loadTLS(cert, key)
	return o, errors.Join(err, o.check(level, fs.Args()))
}

func (o options) check(level string, rest []string) error {
	var problems []error
	if len(rest) > 0 {
		problems = append(problems, fmt.Errorf("unexpected argument: %s", strings.Join(rest, " ")))
	}
	if _, _, err := net.SplitHostPort(o.listen); err != nil {
		problems = append(problems, fmt.Errorf("--listen: %w", err))
	}
	if _, _, err := net.SplitHostPort(o.standby); o.standby != "" && err != nil {
		problems = append(problems, fmt.Errorf("--standby: %w", err))
	}
	if o.standby != "" && o.data != "" {
		problems = append(problems, errors.New("--standby: both nodes are in memory, so it excludes --data"))
	}
	if o.rootToken == "" {
		problems = append(problems, errors.New("--root-token: must not be empty"))
	}
	if o.logLevel == hclog.NoLevel {
		problems = append(problems, fmt.Errorf("--log-level: unknown level %q", level))
	}
	return errors.Join(problems...)
}

func loadTLS(cert, key string) (*tls.Config, error) {
	if cert == "" && key == "" {
		return nil, nil
	}
	if cert == "" || key == "" {
		return nil, errors.New("--tls-cert and --tls-key: give both or none")
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert, --tls-key: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}
