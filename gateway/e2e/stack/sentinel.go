package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// Sentinel watches over a Redis and its replica, which takes the place of one that is killed.
type Sentinel struct {
	*Process
	Master, Replica *Redis

	addr, dir string
}

// StartSentinel starts all three. The master is down when it has not answered for 300 ms.
func StartSentinel(ctx context.Context) (*Sentinel, error) {
	s := &Sentinel{}
	err := s.start(ctx)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Sentinel) start(ctx context.Context) (err error) {
	if s.Master, err = StartRedis(ctx); err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(s.Master.Addr)
	if err != nil {
		return err
	}
	if s.Replica, err = StartRedis(ctx, "--replicaof", host+" "+port); err != nil {
		return err
	}
	if err := s.Replica.Says(ctx, "Finished with success"); err != nil {
		return err
	}
	own, err := freePort(ctx)
	if err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "sentinel-"); err != nil {
		return err
	}
	s.addr = net.JoinHostPort("127.0.0.1", own)
	file := filepath.Join(s.dir, "sentinel.conf")
	text := fmt.Sprintf("bind 127.0.0.1\nport %s\ndir %s\nsentinel monitor main %s %s 1\nsentinel down-after-milliseconds main 300\nsentinel failover-timeout main 3000\n", own, s.dir, host, port)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	if s.Process, err = Start(ctx, Command{Path: s.Master.path, Args: []string{file, "--sentinel"}, Dir: s.dir}, nil); err != nil {
		return err
	}
	return s.Says(ctx, "+slave ") // it knows the replica
}

// URL is the address as REDIS_URL wants it.
func (s *Sentinel) URL() string { return "redis+sentinel://" + s.addr + "/main" }

// Close stops all of them and removes their files.
func (s *Sentinel) Close() (err error) {
	if s.Process != nil {
		err = s.Stop()
	}
	for _, r := range []*Redis{s.Master, s.Replica} {
		if r != nil {
			err = errors.Join(err, r.Close())
		}
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
