package server

import (
	"bufio"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// unmapProgram lets go of the pages of the program's file that are mapped: the start reads
// most of the program, and calls need a part of it. The system maps what is needed again,
// out of its page cache (madvise(2), MADV_DONTNEED).
func unmapProgram() {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return // as much is resident as before
	}
	defer f.Close() //nolint:errcheck // it was only read
	for _, m := range asInFiles(f) {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.start, m.end-m.start, unix.MADV_DONTNEED) // the same
	}
}

// mapping is a part of the address space.
type mapping struct{ start, end uintptr }

// asInFiles are the mappings of files that hold what the files hold: nothing can be written
// to them, nor has it been before they were protected (proc_pid_smaps(5)).
func asInFiles(smaps io.Reader) (found []mapping) {
	var m mapping
	protected := false
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		switch f := strings.Fields(lines.Text()); {
		case len(f) >= 5 && strings.Contains(f[0], "-"): // addresses, permissions, offset, device, inode, file
			m, protected = parseMapping(f[0]), f[4] != "0" && (f[1] == "r-xp" || f[1] == "r--p")
		case len(f) == 3 && f[0] == "Anonymous:" && f[1] == "0" && protected:
			found = append(found, m)
		}
	}
	return found
}

func parseMapping(s string) mapping {
	from, to, _ := strings.Cut(s, "-")
	start, serr := strconv.ParseUint(from, 16, 64)
	end, eerr := strconv.ParseUint(to, 16, 64)
	if serr != nil || eerr != nil || end < start {
		return mapping{}
	}
	return mapping{uintptr(start), uintptr(end)}
}
