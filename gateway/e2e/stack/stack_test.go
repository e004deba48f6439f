package stack_test

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"portcullis/gateway/e2e/stack"
)

func TestReadyLineAndRest(t *testing.T) {
	var ready struct{ N int }
	p, err := stack.Start(t.Context(), stack.Command{
		Path: "/bin/sh", Args: []string{"-c", `echo '{"seq":1}'; printf '{"n":'; echo '7}'; echo more; exec sleep 60`}, Ready: true,
	}, &ready)
	if err != nil {
		t.Fatal(err)
	}
	if ready.N != 7 {
		t.Errorf("got %d, want 7", ready.N)
	}
	if err := p.Says(t.Context(), "more"); err != nil {
		t.Error(err)
	}
	if err := p.Stop(); err != nil || p.ExitCode() != -1 {
		t.Errorf("got %v, exit code %d, want an end by signal", err, p.ExitCode())
	}
	if err := p.Kill(); err != nil {
		t.Errorf("killing what has ended: %v", err)
	}
}

func TestEndBeforeReady(t *testing.T) {
	for name, script := range map[string]string{"ends": "echo broken >&2; exit 3", "no line": "echo; exec sleep 60"} {
		_, err := stack.Start(t.Context(), stack.Command{Path: "/bin/sh", Args: []string{"-c", script}, Ready: true}, new(struct{}))
		if err == nil {
			t.Errorf("%s: ready", name)
		}
	}
	if _, err := stack.Start(t.Context(), stack.Command{Path: "/no/such/program"}, nil); err == nil {
		t.Error("a missing program starts")
	}
}

// TestEndsWithItsContext: what a test starts is gone when the test is.
func TestEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p, err := stack.Start(ctx, stack.Command{Path: "/bin/sleep", Args: []string{"60"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	<-p.Done()
	if err := syscall.Kill(p.PID(), 0); err == nil {
		t.Error("the process is still there")
	}
}

// TestPostgres: a password is needed, and nobody listens after the end.
func TestPostgres(t *testing.T) {
	p, err := stack.StartPostgres(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for dsn, want := range map[string]bool{p.DSN(): true, p.UserDSN("postgres", "wrong"): false} {
		out, err := exec.CommandContext(t.Context(), "psql", "-Atc", "select 40+2", dsn).CombinedOutput()
		if (err == nil && strings.TrimSpace(string(out)) == "42") != want {
			t.Errorf("psql: got %s %v, want success: %v", out, err, want)
		}
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", net.JoinHostPort(p.Host, p.Port)); err == nil {
		t.Errorf("somebody still listens: %v", c.Close())
	}
}

func ExampleStart() {
	p, err := stack.Start(context.Background(), stack.Command{Path: "/bin/echo", Args: []string{"hello"}}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	<-p.Done()
	fmt.Print(p.Output())
	// Output: hello
}
