package stack

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// Redis is a running Redis, or Valkey where that is what is installed.
type Redis struct {
	*Process
	Addr string // host:port
	path string
	dir  string
	args []string
}

// StartRedis starts a server on a free port, without files of data. Further arguments are
// settings, as redis-server takes them.
func StartRedis(ctx context.Context, args ...string) (*Redis, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if path, err = exec.LookPath("valkey-server"); err != nil {
			return nil, errors.New("no Redis is installed; on Debian: apt-get install redis-server")
		}
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	r := &Redis{path: path, Addr: net.JoinHostPort("127.0.0.1", port)}
	if r.dir, err = os.MkdirTemp("", "redis-"); err != nil {
		return nil, err
	}
	r.args = append([]string{"--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", r.dir, "--loglevel", "notice"}, args...)
	if err := r.Start(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(r.dir))
	}
	return r, nil
}

// Start starts the server again, where it was, after it was stopped or killed. It has
// forgotten everything.
func (r *Redis) Start(ctx context.Context) (err error) {
	if r.Process, err = Start(ctx, Command{Path: r.path, Args: r.args, Dir: r.dir}, nil); err != nil {
		return err
	}
	return r.Says(ctx, "Ready to accept connections")
}

// Dir is where the server's files would be.
func (r *Redis) Dir() string { return filepath.Clean(r.dir) }

// URL is the address as REDIS_URL wants it.
func (r *Redis) URL() string { return "redis://" + r.Addr }

// Close stops the server and removes its files.
func (r *Redis) Close() error { return errors.Join(r.Stop(), os.RemoveAll(r.dir)) }
