//go:build !linux

package stack

import (
	"os/user"
	"syscall"
)

// attributes give the child a process group of its own.
func attributes(u *user.User) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true}
	a.Credential = credential(u)
	return a
}
