package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
)

// a fullDisk is a way in which evidence cannot be written any more, for a while.
type fullDisk struct {
	name       string
	env        []string
	dir        func(t *testing.T) string // of the gateway
	fill, free func(g *stack.Gateway) error
}

// fullDisks are those that this user can make: only root mounts a file system.
func fullDisks(t *testing.T) []fullDisk {
	t.Helper()
	all := []fullDisk{{
		name: "file size limit", dir: func(t *testing.T) string { t.Helper(); return t.TempDir() },
		fill: func(g *stack.Gateway) error {
			st, err := os.Stat(g.AuditFile())
			if err != nil {
				return err
			}
			return unix.Prlimit(g.PID(), unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: uint64(st.Size()) + 3000, Max: unix.RLIM_INFINITY}, nil)
		},
		free: func(g *stack.Gateway) error {
			return unix.Prlimit(g.PID(), unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}, nil)
		},
	}}
	probe := t.TempDir()
	if unix.Mount("tmpfs", probe, "tmpfs", 0, "size=1m") != nil {
		t.Log("without the right to mount a file system: only a limit of the size of files is tried")
		return all
	}
	if err := unix.Unmount(probe, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	small := func(t *testing.T) string {
		t.Helper()
		dir := t.TempDir()
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=96m"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }) // what it held goes with it
		return dir
	}
	free := func(g *stack.Gateway) error { return os.Remove(ballast(g)) }
	return append(all,
		fullDisk{"full disk", []string{"AUDIT_MIN_FREE_BYTES=0"}, small, func(g *stack.Gateway) error { return fillDisk(g, 0) }, free},
		fullDisk{"nearly full disk", nil, small, func(g *stack.Gateway) error { return fillDisk(g, 96<<20/20) }, free})
}

func ballast(g *stack.Gateway) string { return filepath.Join(filepath.Dir(g.LogDir), "ballast") }

// fillDisk leaves so many bytes of the gateway's disk, and a little more where it is not 0.
func fillDisk(g *stack.Gateway, leave int64) error {
	f, err := os.Create(ballast(g))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()                      // nobody reads it
	const margin = 128 << 10                              // the gateway writes meanwhile
	for err = unix.ENOSPC; errors.Is(err, unix.ENOSPC); { // more than the margin, now and then
		var s unix.Statfs_t
		if err := unix.Statfs(g.LogDir, &s); err != nil {
			return err
		}
		err = unix.Fallocate(int(f.Fd()), 0, 0, int64(s.Bavail)*s.Bsize-leave-margin)
	}
	if err != nil || leave > 0 {
		return err
	}
	_, err = f.Seek(0, io.SeekEnd)
	for chunk := make([]byte, 4096); err == nil; {
		_, err = f.Write(chunk)
	}
	if errors.Is(err, unix.ENOSPC) {
		return nil
	}
	return err
}

// TestNoCallIsExecutedUnrecorded: while the evidence cannot be written, calls are refused
// and Vault is asked for nothing that is not on record; memory stays as it was, and the
// gateway serves again by itself when there is room.
func TestNoCallIsExecutedUnrecorded(t *testing.T) {
	for _, disk := range fullDisks(t) {
		t.Run(disk.name, func(t *testing.T) {
			v, root := e2e.StartVault(t), e2e.Root(t)
			g, err := stack.StartGateway(t.Context(), stack.GatewayOptions{
				Root: root, Dir: disk.dir(t), Env: append(append(stack.DevEnv(root, v), withAppRole(v)...), disk.env...),
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, end := context.WithCancel(t.Context())
			answers := &tallied{codes: map[string]int{}}
			var wg sync.WaitGroup
			defer wg.Wait()
			defer end()
			for c := range 8 {
				wg.Go(func() { answers.load(ctx, t, g, c) })
			}
			e2e.Eventually(t, "calls are served", func() bool { return answers.of("ok") > 50 })
			if err := disk.fill(g); err != nil {
				t.Fatal(err)
			}
			e2e.Eventually(t, "calls are refused", func() bool { return answers.of("audit_unavailable") > 0 })
			samples := memoryFor(ctx, t, g, *outage)
			served, refused := answers.of("ok"), answers.of("audit_unavailable")
			if err := disk.free(g); err != nil {
				t.Fatal(err)
			}
			e2e.Eventually(t, "calls are served again", func() bool { return answers.of("ok") > served+50 })
			end()
			wg.Wait()
			if err := g.Stop(); err != nil {
				t.Fatal(err)
			}
			answers.check(t, g, v)
			isFlat(t, samples)
			t.Logf("%d calls refused in %s, resident %s; answers in all %v", refused, *outage, span(samples), answers.codes)
		})
	}
}

// check holds the answers and Vault's own log to the evidence.
func (a *tallied) check(t *testing.T, g *stack.Gateway, v *stack.Vault) {
	t.Helper()
	files, intents := evidenceFiles(t, g.LogDir), map[string]bool{}
	for _, f := range files {
		for line := range lines(t, f) {
			var l struct {
				Type, Op string
				Request  string `json:"request_id"`
			}
			if json.Unmarshal(line, &l) == nil && l.Type == "intent" {
				intents[l.Request] = true
			}
		}
	}
	missing := slices.DeleteFunc(slices.Clone(a.done), func(id string) bool { return intents[id] })
	for code := range a.codes {
		if code != "ok" && code != "audit_unavailable" {
			t.Errorf("calls were answered with %s: %v", code, a.codes)
		}
	}
	if out, code := portcullis(t, nil, append([]string{"audit", "verify"}, files...)...); code != 0 {
		t.Errorf("verify: exit code %d: %s", code, out)
	}
	if len(files) != 1 || len(missing) > 0 {
		t.Fatalf("%d calls were answered that are not on record, in %d files", len(missing), len(files))
	}
	r, upkeep := runReconcile(t, files[0], v.AuditFile), 0
	for _, d := range r.UnknownToUs {
		if strings.HasPrefix(d.CorrelationID, "upkeep-") {
			upkeep++ // goes on while it cannot be recorded
			continue
		}
		t.Errorf("Vault has done what is not on record: %+v", d)
	}
	if len(r.UnknownToVault)+len(r.OutcomeDiffers)+len(r.Unreadable) > 0 {
		t.Errorf("on record and not in Vault %v, differ %v, unreadable %v", r.UnknownToVault, r.OutcomeDiffers, r.Unreadable)
	}
	t.Logf("%d calls with an answer of success, each with its intent; %d requests to Vault, %d agree, %d without an outcome, %d of upkeep not on record", len(a.done), r.Requests, r.Matched, r.Open, upkeep)
}
