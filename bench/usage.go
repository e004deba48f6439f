package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc; it is 10 ms on every Linux that Go supports.
const tick = 10 * time.Millisecond

// cpuTime is the CPU time that a process has used, in user and kernel mode, from
// /proc/PID/stat (proc_pid_stat(5), fields 14 and 15).
func cpuTime(pid int) (time.Duration, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("CPU times need Linux: %w", err)
	}
	return parseStat(string(raw))
}

func parseStat(s string) (time.Duration, error) {
	// The name, field 2, may hold blanks and brackets: count from its end.
	fields := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
	if len(fields) < 13 {
		return 0, errors.New("too few fields in /proc/PID/stat")
	}
	user, uerr := strconv.ParseInt(fields[11], 10, 64)
	system, serr := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * tick, errors.Join(uerr, serr)
}

// peakMemory is the largest resident size that a process has had, and resident the one
// that it has, in bytes (VmHWM and VmRSS, proc_pid_status(5)).
func peakMemory(pid int) (int64, error) { return memory(pid, "VmHWM:") }
func resident(pid int) (int64, error)   { return memory(pid, "VmRSS:") }

// own is what of that no file backs: what it cannot share, and the system cannot take back.
func own(pid int) (int64, error) { return memory(pid, "RssAnon:") }

func memory(pid int, field string) (int64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.SplitSeq(string(raw), "\n") {
		if rest, ok := strings.CutPrefix(line, field); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("no " + field + " in /proc/PID/status")
}

// machineLoad is the load average of the last minute, 0 where nobody says.
func machineLoad() float64 {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(raw), " ")
	load, _ := strconv.ParseFloat(first, 64) // 0 when it is none
	return load
}
