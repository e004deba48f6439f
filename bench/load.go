package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// drive sends a target's request over and over on so many connections, one request
// at a time on each, and returns how long each took. The driver writes prepared
// bytes and parses little: its own CPU is not what is measured. Every answer must be
// the secret.
func drive(ctx context.Context, t *target, workers int, d time.Duration) ([]time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, d+10*time.Second)
	defer cancel()
	end := time.Now().Add(d)
	var wg sync.WaitGroup
	took, errs := make([][]time.Duration, workers), make([]error, workers)
	for i := range workers {
		wg.Go(func() { took[i], errs[i] = work(ctx, t, end) })
	}
	wg.Wait()
	var all []time.Duration
	for _, ds := range took {
		all = append(all, ds...)
	}
	return all, errors.Join(errs...)
}

// work makes one request after another until end, and one at least: a target that
// was never asked has not answered.
func work(ctx context.Context, t *target, end time.Time) (took []time.Duration, err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", t.addr)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	r, body := bufio.NewReader(conn), new(bytes.Buffer)
	for now := time.Now(); len(took) == 0 || now.Before(end) && ctx.Err() == nil; {
		if err := exchange(conn, r, body, t); err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
		next := time.Now()
		took = append(took, next.Sub(now))
		now = next
	}
	return took, ctx.Err()
}

// exchange sends the request and reads the answer.
func exchange(conn io.Writer, r *bufio.Reader, body *bytes.Buffer, t *target) error {
	if _, err := conn.Write(t.request); err != nil {
		return err
	}
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	body.Reset()
	if _, err = body.ReadFrom(resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || !bytes.Contains(body.Bytes(), []byte(marker)) {
		return fmt.Errorf("answered %d: %s", resp.StatusCode, body)
	}
	return resp.Body.Close()
}
