package server

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// cgroupLimit is how much memory the control group of this process may use, in bytes,
// 0 when it says nothing (Linux, cgroup-v2 memory.max and cgroup-v1
// memory.limit_in_bytes). A group is bounded by those above it as well.
func cgroupLimit(root, self string) int64 {
	f, err := os.Open(self)
	if err != nil {
		return 0
	}
	defer f.Close() //nolint:errcheck // it was only read
	least := int64(0)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.SplitN(lines.Text(), ":", 3) // hierarchy, controllers, path
		if len(fields) != 3 {
			continue
		}
		dir, file := root, "memory.max"
		if fields[1] != "" {
			if !strings.Contains(","+fields[1]+",", ",memory,") {
				continue
			}
			dir, file = filepath.Join(root, "memory"), "memory.limit_in_bytes"
		}
		for at := filepath.Clean("/" + fields[2]); ; at = filepath.Dir(at) {
			if n := limitIn(filepath.Join(dir, at, file)); n > 0 && (least == 0 || n < least) {
				least = n
			}
			if at == "/" {
				break
			}
		}
	}
	return least
}

// limitIn reads a limit. Version 1 says none with a number beyond every memory.
func limitIn(path string) int64 {
	raw, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64)
	if err != nil || n > 1<<60 {
		return 0
	}
	return n
}
