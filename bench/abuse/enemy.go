package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"portcullis/gateway/e2e/attack"
)

// enemy is an attacker with a process of its own, which gives way to everybody else on
// the machine (nice 19): what it costs to make its requests is not what an honest caller
// waits for, what they cost the gateway is.
type enemy struct {
	attack attack.Attack
	cpu    time.Duration // that its process has used; set when run returns
}

// run attacks until ctx ends, and returns how many requests were made.
func (e *enemy) run(ctx context.Context, t *attack.Target) (requests int) {
	cmd := exec.CommandContext(ctx, "nice", "-n", "19", os.Args[0], "--as", e.attack.Name, "--at", t.URL)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	_ = cmd.Run() // it is told to end
	if cmd.ProcessState == nil {
		return 0 // it was not even started: no attack is reported
	}
	_, _ = fmt.Sscan(out.String(), &requests)
	e.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return requests
}

// be is the attacker's process.
func be(name, url string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	for _, a := range append(attack.All(), attack.Everything()) {
		if a.Name == name {
			fmt.Println(a.Run(ctx, attack.At(url)))
			return nil
		}
	}
	return fmt.Errorf("no attack is named %q", name)
}

// used is the CPU time of a process so far, 0 where the system does not tell (proc(5):
// utime and stime are the fields 14 and 15, in hundredths of a second).
func used(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name may have spaces
	var user, system int64
	fields := strings.Fields(rest)
	if len(fields) > 12 {
		_, _ = fmt.Sscan(fields[11]+" "+fields[12], &user, &system)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}
