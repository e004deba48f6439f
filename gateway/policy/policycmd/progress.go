package policycmd

import (
	"fmt"
	"time"
)

// What takes longer than patience says every so often how far it is.
const (
	patience = 2 * time.Second
	often    = time.Second
)

// progress makes a function that is called with how much of something has been done. It
// writes nothing before patience is over.
func (p Policy) progress(what string) func(done, of int) {
	next := time.Now().Add(patience)
	return func(done, of int) {
		if p.Progress == nil || time.Now().Before(next) {
			return
		}
		next = time.Now().Add(often)
		if of > 0 {
			fmt.Fprintf(p.Progress, "%d of %d %s\n", done, of, what)
			return
		}
		fmt.Fprintf(p.Progress, "%d %s\n", done, what)
	}
}
