package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// grace is how long a process may take to end when it is asked to.
const grace = 15 * time.Second

// Command says what to run.
type Command struct {
	Path   string
	Args   []string
	Env    []string // nil for the environment of this process
	Dir    string
	User   *user.User // run as this user; nil for the own one
	Stdout io.Writer  // nil to keep it, see Process.Output
	Stderr io.Writer  // nil to keep it
	Ready  bool       // the process prints a line of JSON on stdout when it is ready
}

// Process is a running process in a process group of its own, so that Ctrl-C on a
// terminal reaches it only through the one who started it.
type Process struct {
	cmd    *exec.Cmd
	output Buffer
	done   chan struct{}
	err    error // valid when done is closed
}

// Start starts a process that ends with ctx. When the command announces that it
// is ready, Start waits for that line and decodes it into ready.
func Start(ctx context.Context, c Command, ready any) (*Process, error) {
	p := &Process{done: make(chan struct{})}
	p.cmd = exec.CommandContext(ctx, c.Path, c.Args...)
	p.cmd.Env, p.cmd.Dir = c.Env, c.Dir
	p.cmd.Stdout, p.cmd.Stderr = or(c.Stdout, &p.output), or(c.Stderr, &p.output)
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = grace
	p.cmd.SysProcAttr = attributes(c.User)
	line := make(chan []byte, 1)
	if c.Ready {
		p.cmd.Stdout = &firstLine{rest: p.cmd.Stdout, line: line}
	}
	started := make(chan error)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Path, err)
	}
	if !c.Ready {
		return p, nil
	}
	return p, p.await(line, ready)
}

// run starts the process and waits for it on one locked thread: the kernel ends
// the child when the thread that started it ends.
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.err = p.cmd.Wait()
	close(p.done)
}

func (p *Process) await(line <-chan []byte, ready any) error {
	select {
	case l := <-line:
		if err := json.Unmarshal(l, ready); err != nil {
			_ = p.Kill()
			return fmt.Errorf("%s: first line is not its ready line: %q", p.cmd.Path, l)
		}
		return nil
	case <-p.done:
		return fmt.Errorf("%s ended before it was ready: %w\n%s", p.cmd.Path, p.err, p.Output())
	}
}

// Signal sends a signal.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stop asks the process to end and waits for it. It may be called again.
func (p *Process) Stop() error {
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.done:
	case <-time.After(grace):
		return errors.Join(fmt.Errorf("%s did not end when asked to", p.cmd.Path), p.Kill())
	}
	return nil
}

// Kill ends the process as a crash would, and waits for it.
func (p *Process) Kill() error {
	if err := p.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.done
	return nil
}

// ExitCode is the exit code of a process that has ended, -1 for one that a signal
// ended.
func (p *Process) ExitCode() int { return p.cmd.ProcessState.ExitCode() }

// Output is what the process has written so far.
func (p *Process) Output() string { return p.output.String() }

// Buffer is a bytes.Buffer that several goroutines may use.
type Buffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

// Write appends.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String returns everything written.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// firstLine sends the first line to a channel and everything else to rest. Evidence that a
// gateway copies to stdout may come before its ready line.
type firstLine struct {
	rest io.Writer
	line chan<- []byte
	buf  []byte
	sent bool
}

func (f *firstLine) Write(p []byte) (int, error) {
	if f.sent {
		return f.rest.Write(p)
	}
	f.buf = append(f.buf, p...)
	for !f.sent {
		end := bytes.IndexByte(f.buf, '\n')
		if end < 0 {
			return len(p), nil
		}
		line := f.buf[:end+1]
		f.buf = f.buf[end+1:]
		if bytes.HasPrefix(line, []byte(`{"seq":`)) {
			if _, err := f.rest.Write(line); err != nil {
				return len(p), err
			}
			continue
		}
		f.sent = true
		f.line <- bytes.TrimRight(line, "\r\n")
	}
	_, err := f.rest.Write(f.buf)
	return len(p), err
}

func or(w io.Writer, otherwise io.Writer) io.Writer {
	if w == nil {
		return otherwise
	}
	return w
}
