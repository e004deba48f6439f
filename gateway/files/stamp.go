package files

import (
	"fmt"
	"io/fs"
	"time"
)

// Stamp is what the system says of a state of a file, without reading it. Two equal
// stamps are of the same content, unless the file was changed twice within one tick of
// the file system's clock. It is comparable; the zero Stamp is of no file.
type Stamp struct {
	Mode     fs.FileMode
	Size     int64     // bytes
	Modified time.Time // of the content, which its owner can set
	Changed  time.Time // of the content, the name or the rights, which nobody can set
	dev, ino uint64    // tell a file from another that has taken its name
}

// StampOf is the stamp of a file that has been looked at. Where the system does not say
// when a file was changed, Changed is now, so that no stamp is relied on.
func StampOf(info fs.FileInfo) Stamp {
	s := Stamp{Mode: info.Mode(), Size: info.Size(), Modified: info.ModTime()}
	s.system(info)
	return s
}

// String has all that a stamp tells.
func (s Stamp) String() string {
	return fmt.Sprintf("%v %d %d %d/%d/%d", s.Mode, s.Size, s.Modified.UnixNano(), s.dev, s.ino, s.Changed.UnixNano())
}
