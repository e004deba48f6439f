//go:build !linux

package server

// cgroupLimit is 0: this system has no control groups.
func cgroupLimit(string, string) int64 { return 0 }

// unmapProgram does nothing: it is not known here what of the program is mapped.
func unmapProgram() {}
