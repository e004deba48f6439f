//go:build unix

package http1

import (
	"errors"
	"syscall"
)

// Supported reports whether this system can tell that a server has closed a connection
// that nobody reads from. Without that, a change could be written to a dead connection,
// and nobody would know what came of it.
const Supported = true

// quiet reports whether a connection is open and has nothing to read. Data that nobody
// has asked for are no answer to the next request.
func quiet(socket syscall.RawConn) bool {
	if socket == nil {
		return false
	}
	waits := false
	err := socket.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK) // the socket does not block
		waits = errors.Is(err, syscall.EAGAIN)
	})
	return err == nil && waits
}
