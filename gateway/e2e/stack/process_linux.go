package stack

import "syscall"

// attributes give the child a process group of its own and let the kernel end it
// when its parent ends in whatever way (PR_SET_PDEATHSIG, prctl(2)).
func attributes(uid uint32) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if uid != 0 {
		a.Credential = &syscall.Credential{Uid: uid, Gid: uid}
	}
	return a
}
