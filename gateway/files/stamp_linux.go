package files

import (
	"io/fs"
	"syscall"
	"time"
)

func (s *Stamp) system(info fs.FileInfo) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		s.Changed = s.Modified
		return
	}
	s.Changed, s.dev, s.ino = time.Unix(st.Ctim.Unix()), st.Dev, st.Ino
}
