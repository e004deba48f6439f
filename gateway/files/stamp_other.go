//go:build !linux

package files

import (
	"io/fs"
	"time"
)

func (s *Stamp) system(fs.FileInfo) { s.Changed = time.Now() }
