package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"slices"
	"time"

	"portcullis/gateway/e2e/stack"
)

const secret = "mcp/agent_api/bench"

// target is one way to read the secret, with what was measured of it.
type target struct {
	name    string
	addr    string
	request []byte         // HTTP/1.1, as it goes over the wire
	front   *stack.Process // the process between the driver and Vault, nil for none

	took  []time.Duration // of each request
	spent time.Duration   // all turns
	cpu   struct{ front, vault, driver time.Duration }
}

// wire is a request, to be written out.
type wire struct{ line, header, body string }

// targets are what is compared. The second one is the measure.
func (s *set) targets() []*target {
	direct := wire{"GET /v1/secret/data/" + secret, "X-Vault-Token: " + s.vault.Token, ""}
	key := "X-API-Key: dev-api-key"
	call := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"kv.read","arguments":{"path":"bench"}}}`
	return []*target{
		newTarget("Vault, direct", s.vault.Addr, nil, direct),
		newTarget("bare reverse proxy", s.front, s.proxy, direct),
		newTarget("gateway, REST", s.gateway.URL, s.gateway.Process, wire{"GET /secrets/bench", key, ""}),
		newTarget("gateway, MCP", s.gateway.URL, s.gateway.Process, wire{"POST /mcp/rpc", key, call}),
	}
}

func newTarget(name, addr string, front *stack.Process, w wire) *target {
	u, _ := url.Parse(addr) // printed by a server of ours
	request := w.line + " HTTP/1.1\r\nHost: " + u.Host + "\r\n" + w.header + "\r\n"
	if w.body != "" {
		request += "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
		request += fmt.Sprintf("Content-Length: %d\r\n", len(w.body))
	}
	return &target{name: name, addr: u.Host, front: front, request: []byte(request + "\r\n" + w.body)}
}

// turn drives one target for a while. The first turn of each begins with as long a
// warm-up as a tenth of it.
func (s *set) turn(ctx context.Context, t *target, o options) error {
	if t.took == nil {
		if _, err := drive(ctx, t, o.workers, o.turn/10); err != nil {
			return err
		}
	}
	before, err := s.usage(t)
	if err != nil {
		return err
	}
	start := time.Now()
	took, err := drive(ctx, t, o.workers, o.turn)
	if err != nil {
		return err
	}
	t.spent += time.Since(start)
	t.took = append(t.took, took...)
	after, err := s.usage(t)
	t.cpu.front += after[0] - before[0]
	t.cpu.vault += after[1] - before[1]
	t.cpu.driver += after[2] - before[2]
	return err
}

// usage is the CPU time so far of the process in front, of Vault and of the driver.
func (s *set) usage(t *target) (all [3]time.Duration, err error) {
	if t.front != nil {
		if all[0], err = cpuTimeOf(t.front); err != nil {
			return all, err
		}
	}
	if all[1], err = cpuTimeOf(s.vault.Process); err != nil {
		return all, err
	}
	all[2], err = cpuTime(os.Getpid())
	return all, err
}

func cpuTimeOf(p *stack.Process) (time.Duration, error) {
	select {
	case <-p.Done():
		return 0, fmt.Errorf("a process has ended, exit code %d: %s", p.ExitCode(), p.Output())
	default:
		return cpuTime(p.PID())
	}
}

// rate is requests a second.
func (t *target) rate() float64 { return float64(len(t.took)) / t.spent.Seconds() }

// percentile is the time within which a share of the requests was answered.
func (t *target) percentile(share float64) time.Duration {
	sorted := slices.Sorted(slices.Values(t.took))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}
