package main

import "syscall"

// endWithParent lets the kernel send SIGTERM when make ends without having been
// able to pass a signal on (PR_SET_PDEATHSIG, prctl(2)).
func endWithParent() {
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_PDEATHSIG, uintptr(syscall.SIGTERM), 0)
}
