package server

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// stalled is how long a client may take nothing of what is there for it, or not
// answer at all, before the kernel ends its connection.
const stalled = 20 * time.Second

// endStalled makes the kernel watch a connection. A stream's writes succeed as long
// as there is room in the buffers, so their own deadline alone would notice a dead
// reader late, and the less is written to it the later.
func endStalled(c *net.TCPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(stalled.Milliseconds()))
	}) // the deadlines of writes hold without it
}
