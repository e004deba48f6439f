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

// unread reports whether something has come over a connection that was not read yet.
func unread(nc net.Conn) bool {
	c, ok := nc.(*net.TCPConn)
	if !ok {
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	var n int
	err = raw.Control(func(fd uintptr) {
		n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) // 0 when it fails
	})
	return err == nil && n > 0
}
