package stack

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Postgres is a running PostgreSQL server with a superuser named postgres.
type Postgres struct {
	*Process
	Host, Port string
	dir        string
}

const postgresPassword = "obviously-fake"

// StartPostgres makes a database cluster in a directory of its own and starts it
// on a free port. Passwords are checked (scram-sha-256), durability is off.
func StartPostgres(ctx context.Context) (*Postgres, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	p := &Postgres{Host: "127.0.0.1"}
	if p.dir, err = os.MkdirTemp("", "postgres-"); err != nil {
		return nil, err
	}
	if err := p.start(ctx, bin); err != nil {
		return nil, errors.Join(err, os.RemoveAll(p.dir))
	}
	return p, nil
}

func (p *Postgres) start(ctx context.Context, bin string) error {
	u, err := unprivileged("postgres", "nobody")
	if err != nil {
		return err
	}
	pw, data := filepath.Join(p.dir, "pw"), filepath.Join(p.dir, "data")
	if err := errors.Join(os.WriteFile(pw, []byte(postgresPassword), 0o600), give(u, pw), give(u, p.dir)); err != nil {
		return err
	}
	initdb, err := Start(ctx, Command{User: u, Dir: p.dir, Path: filepath.Join(bin, "initdb"), Args: []string{
		"-D", data, "-U", "postgres", "--pwfile", pw, "--auth", "scram-sha-256", "--no-sync", "-E", "UTF8", "--locale", "C",
	}}, nil)
	if err != nil {
		return err
	}
	if <-initdb.Done(); initdb.ExitCode() != 0 {
		return fmt.Errorf("initdb: %s", initdb.Output())
	}
	if p.Port, err = freePort(ctx); err != nil {
		return err
	}
	p.Process, err = Start(ctx, Command{User: u, Dir: p.dir, Path: filepath.Join(bin, "postgres"), Args: []string{
		"-D", data, "-h", p.Host, "-p", p.Port, "-k", p.dir, "-c", "fsync=off", "-c", "max_connections=50",
	}}, nil)
	if err != nil {
		return err
	}
	return p.Says(ctx, "ready to accept connections")
}

// DSN is the address of the server with the superuser's password, as devvault
// --postgres wants it.
func (p *Postgres) DSN() string { return p.UserDSN("postgres", postgresPassword) }

// UserDSN is the address of the server for a user.
func (p *Postgres) UserDSN(user, password string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(user, password), Host: net.JoinHostPort(p.Host, p.Port),
		Path: "postgres", RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Close stops the server and removes its files.
func (p *Postgres) Close() error { return errors.Join(p.Stop(), os.RemoveAll(p.dir)) }

// postgresBin finds the newest installed server; Debian does not put it on PATH.
func postgresBin() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		return "", errors.New("PostgreSQL is not installed; on Debian: apt-get install postgresql")
	}
	version := func(dir string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
		return n
	}
	return slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) }), nil
}

// Says waits until the process has written a text.
func (p *Process) Says(ctx context.Context, text string) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(p.Output(), text) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-p.done:
			return fmt.Errorf("%s ended: %s", p.cmd.Path, p.Output())
		}
	}
	return nil
}

// freePort returns a port of 127.0.0.1 that nobody listens on. It is below those that
// the kernel gives to connections, so none of them takes it before it is used.
func freePort(ctx context.Context) (string, error) {
	var problem error
	for range 20 {
		port := strconv.Itoa(20_000 + rand.IntN(12_000))
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:"+port)
		if err == nil {
			return port, l.Close()
		}
		problem = err
	}
	return "", problem
}
