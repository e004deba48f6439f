//go:build !unix

package http1

import "syscall"

// Supported reports whether this system can tell that a server has closed a connection
// that nobody reads from.
const Supported = false

func quiet(syscall.RawConn) bool { return false }
