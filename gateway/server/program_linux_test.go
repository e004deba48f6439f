package server

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestTheProgramIsUnmapped: what the start has read of the program does not stay resident.
func TestTheProgramIsUnmapped(t *testing.T) {
	mapped := func() int {
		raw, err := os.ReadFile("/proc/self/status")
		m := regexp.MustCompile(`RssFile:\s+(\d+) kB`).FindSubmatch(raw)
		if err != nil || m == nil {
			t.Fatal("nothing tells how much of files is resident", err)
		}
		kib, _ := strconv.Atoi(string(m[1])) // digits
		return kib
	}
	before := mapped()
	unmapProgram()
	if after := mapped(); after > before/2 {
		t.Errorf("%d KiB of %d are still mapped", after, before)
	}
}

// TestWhatWasWrittenToStaysMapped: such pages are in no file. So are those that the loader has
// written to before they were protected.
func TestWhatWasWrittenToStaysMapped(t *testing.T) {
	const smaps = `00400000-01b58000 r-xp 00000000 fe:00 99782 /opt/portcullis
Rss:               16980 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
01b58000-0373b000 r--p 01758000 fe:00 99782 /opt/portcullis
Anonymous:             0 kB
0373b000-038b0000 rw-p 0333b000 fe:00 99782 /opt/portcullis
Anonymous:             0 kB
038b0000-038b4000 r--p 034b0000 fe:00 99782 /opt/with relocations
Anonymous:            16 kB
04000000-04001000 r--s 00000000 00:0f 7 /dev/shm/shared
Anonymous:             0 kB
7ffe1000-7ffe3000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
`
	want := []mapping{{0x400000, 0x1b58000}, {0x1b58000, 0x373b000}}
	if got := asInFiles(strings.NewReader(smaps)); !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}
