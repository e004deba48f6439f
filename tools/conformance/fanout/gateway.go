package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"portcullis/gateway/e2e/stack"
)

// start runs a dev Vault and a gateway, unless one is given. end stops them.
func (l *load) start(ctx context.Context) (end func(), err error) {
	end = func() {}
	if l.url != "" {
		return end, nil
	}
	root, err := stack.Build(ctx)
	if err != nil {
		return end, err
	}
	dir, err := os.MkdirTemp("", "fanout-")
	if err != nil {
		return end, err
	}
	end = func() { _ = os.RemoveAll(dir) } // best effort: a temporary directory
	v, err := stack.StartVault(ctx, root, dir)
	if err != nil {
		return end, err
	}
	env := append(stack.DevEnv(root, v), "RATE_LIMIT_REQUESTS=10000000", "BUDGETS=streams=16000/0/16000,topics=16000/0/16000,requests=16000/0/16000")
	g, err := stack.StartGateway(ctx, stack.GatewayOptions{Root: root, Dir: dir, Env: env})
	if err != nil {
		return func() { _ = v.Stop(); _ = os.RemoveAll(dir) }, err
	}
	l.url, l.pid = g.URL, g.PID()
	return func() { _ = g.Stop(); _ = v.Stop(); _ = os.RemoveAll(dir) }, nil // they end with this process at the latest
}

// memory is the resident memory of the gateway in bytes, 0 when it is not known.
func (l *load) memory() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", l.pid))
	if err != nil {
		return 0
	}
	var kb int64
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			_, _ = fmt.Sscan(rest, &kb)
		}
	}
	return kb << 10
}

// cpu is the CPU time that the gateway has used, 0 when it is not known.
func (l *load) cpu() time.Duration {
	s, err := strconv.ParseFloat(l.metric("process_cpu_seconds_total"), 64)
	if err != nil {
		return 0
	}
	return time.Duration(s * float64(time.Second))
}

// number is a metric that counts.
func (l *load) number(name string) int {
	n, err := strconv.Atoi(l.metric(name))
	if err != nil {
		return 0
	}
	return n
}

// metric reads one value of the gateway's metrics page.
func (l *load) metric(name string) string {
	resp, err := l.request(context.Background(), http.MethodGet, "/metrics", nil)
	if err != nil {
		return "?"
	}
	defer func() { _ = resp.Body.Close() }()
	for s := bufio.NewScanner(resp.Body); s.Scan(); {
		if v, ok := strings.CutPrefix(s.Text(), name+" "); ok {
			return v
		}
	}
	return "?"
}
