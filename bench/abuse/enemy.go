package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
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
// waits for, what they cost the gateway is. Nor is the start of the process: it is there
// before anybody measures, and waits for a line on its input.
type enemy struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	cpu time.Duration // that its process has used; set when run returns
}

// enlist starts the attacker's process. Its attack begins with run.
func enlist(ctx context.Context, a attack.Attack, t *attack.Target) (*enemy, error) {
	cmd := exec.CommandContext(ctx, "nice", "-n", "19", os.Args[0], "--as", a.Name, "--at", t.URL)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	e := &enemy{cmd: cmd, in: in, out: bufio.NewReader(out)}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if _, err := e.out.ReadString('\n'); err != nil {
		return nil, fmt.Errorf("the attacker did not come up: %w", errors.Join(err, cmd.Wait()))
	}
	return e, nil
}

// run attacks until ctx ends, and returns how many requests were made.
func (e *enemy) run(ctx context.Context, _ *attack.Target) (requests int) {
	_, _ = io.WriteString(e.in, "go\n") // one that is gone makes no requests
	stopped := context.AfterFunc(ctx, func() { _ = e.cmd.Process.Signal(syscall.SIGTERM) })
	defer stopped()
	_, _ = fmt.Fscan(e.out, &requests)
	_ = e.cmd.Wait() // it is told to end
	if e.cmd.ProcessState != nil {
		e.cpu = e.cmd.ProcessState.UserTime() + e.cmd.ProcessState.SystemTime()
	}
	return requests
}

// be is the attacker's process.
func be(name, url string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	for _, a := range append(attack.All(), attack.Everything()) {
		if a.Name == name {
			t := attack.At(url)
			fmt.Println("ready")
			_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // it ends with whoever started it
			fmt.Println(a.Run(ctx, t))
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
