package policycmd_test

import (
	"os"
	"runtime/debug"
	"testing"
)

// TestMain collects garbage less often: these tests compile policies by the hundred, and
// a third of their time went into it.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}
