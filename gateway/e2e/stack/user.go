package stack

import (
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// unprivileged is the user that runs what refuses to run as root: nil when this
// process is not root.
func unprivileged(names ...string) (*user.User, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	var err error
	for _, name := range names {
		var u *user.User
		if u, err = user.Lookup(name); err == nil {
			return u, nil
		}
	}
	return nil, err
}

// credential is nil for the own user.
func credential(u *user.User) *syscall.Credential {
	if u == nil {
		return nil
	}
	uid, _ := strconv.ParseUint(u.Uid, 10, 32) // numbers on every Unix
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// give makes a user the owner of a file.
func give(u *user.User, path string) error {
	c := credential(u)
	if c == nil {
		return nil
	}
	return os.Chown(path, int(c.Uid), int(c.Gid))
}
