package stack

import (
	"os/user"
	"syscall"
)

// attributes give the child a process group of its own and let the kernel end it
// when its parent ends in whatever way (PR_SET_PDEATHSIG, prctl(2)).
func attributes(u *user.User) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	a.Credential = credential(u)
	return a
}
