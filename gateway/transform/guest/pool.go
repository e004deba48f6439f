package guest

import (
	"sync/atomic"
	"time"
)

// pool holds a fixed number of slots. A slot with a nil instance is one whose
// instance was thrown away.
type pool struct {
	free chan *instance
	wait time.Duration
	// ready is one free instance outside the channel: one caller at a time then
	// pays two atomic operations and no lock.
	ready atomic.Pointer[instance]
	// waiting counts the callers that look at the channel only.
	waiting atomic.Int64
}

func newPool(size int, wait time.Duration) *pool {
	return &pool{free: make(chan *instance, size), wait: wait}
}

// get returns a free slot, or a [*Fault] when none becomes free in time.
func (p *pool) get() (*instance, error) {
	if in := p.ready.Swap(nil); in != nil {
		return in, nil
	}
	select {
	case in := <-p.free:
		return in, nil
	default:
		return p.block()
	}
}

func (p *pool) block() (*instance, error) {
	p.waiting.Add(1)
	defer p.waiting.Add(-1)
	// From here on put uses the channel; what it left outside before is taken now.
	if in := p.ready.Swap(nil); in != nil {
		return in, nil
	}
	late := time.NewTimer(p.wait)
	defer late.Stop()
	select {
	case in := <-p.free:
		return in, nil
	case <-late.C:
		return nil, &Fault{Code: Busy}
	}
}

func (p *pool) put(in *instance) {
	if in == nil || p.waiting.Load() > 0 || !p.ready.CompareAndSwap(nil, in) {
		p.free <- in
		return
	}
	// A caller may have begun to wait between the two lines above.
	if p.waiting.Load() > 0 {
		if in := p.ready.Swap(nil); in != nil {
			p.free <- in
		}
	}
}
