package main

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// progress tells a waiting person what takes so long: nothing for two seconds,
// then a line every two seconds.
type progress struct {
	what atomic.Value // string
	end  chan struct{}
	wg   sync.WaitGroup
}

func startProgress(out io.Writer) *progress {
	p := &progress{end: make(chan struct{})}
	p.now("starting")
	p.wg.Go(func() {
		tick := time.NewTicker(2 * time.Second)
		defer tick.Stop()
		for waited := 2; ; waited += 2 {
			select {
			case <-tick.C:
				fmt.Fprintf(out, "devvault: still %s (%d s)\n", p.what.Load(), waited)
			case <-p.end:
				return
			}
		}
	})
	return p
}

func (p *progress) now(what string) { p.what.Store(what) }

// stop returns when no further line can be written.
func (p *progress) stop() {
	close(p.end)
	p.wg.Wait()
}
