//go:build !linux

package server

import "net"

// endStalled leaves it to the deadlines of writes: this system has no such option.
func endStalled(*net.TCPConn) {}

// unread is false: what is waiting on a connection cannot be told here.
func unread(net.Conn) bool { return false }
