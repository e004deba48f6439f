package sink

import (
	"errors"
	"time"
)

// failed notes a failure and says it, at first and then once a minute. What is in
// memory goes to disk, so that the end of the process loses little.
func (o *one) failed(err error) {
	now := time.Now()
	o.mu.Lock()
	o.err = err
	o.failures++
	o.meter.failures.Inc()
	if o.down.IsZero() {
		o.down = now
	}
	tell := now.Sub(o.told) >= tellEvery
	if tell {
		o.told = now
	}
	since := o.down
	o.mu.Unlock()
	signal(o.queue.press)
	if tell {
		s := o.status()
		o.log.Warn("an audit sink takes nothing; lines wait for it and are sent again, check the receiver", "sink", o.target.name,
			"cause", err, "since", since.UTC().Format(time.RFC3339), "lines", s.Waiting, "memory_bytes", s.Memory, "spool_bytes", s.Disk)
	}
}

func (o *one) succeeded(lines int) {
	o.mu.Lock()
	o.sent += uint64(lines) //nolint:gosec // not negative
	o.meter.lines.Add(lines)
	down := o.down
	o.down, o.told, o.err = time.Time{}, time.Time{}, nil
	o.mu.Unlock()
	if !down.IsZero() {
		o.log.Info("an audit sink takes lines again", "sink", o.target.name, "down_seconds", int(time.Since(down).Seconds()))
	}
}

func (o *one) isDown() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.down.IsZero()
}

// cannotStore notes why the spool takes nothing, nil when it does.
func (o *one) cannotStore(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.full = err
}

// logLost logs lines that were lost since it was called last.
func (o *one) logLost() {
	o.queue.mu.Lock()
	lost := o.queue.lost
	o.queue.mu.Unlock()
	o.mu.Lock()
	more, full := lost-o.toldLost, o.full
	o.toldLost = lost
	o.mu.Unlock()
	o.meter.lost.Set(lost)
	if more > 0 {
		o.log.Error("lines for an audit sink are lost, the audit file has them: memory and spool are full", "sink", o.target.name, "lines", more, "cause", full)
	}
}

func (o *one) status() Status {
	s := Status{Name: o.target.name, Kind: o.target.kind}
	o.queue.mu.Lock()
	s.Waiting, s.Memory, s.Disk, s.Lost = o.queue.waiting, o.queue.memory, o.queue.disk, o.queue.lost
	o.queue.mu.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	s.Up, s.Since, s.Sent, s.Failures = o.down.IsZero(), o.down, o.sent, o.failures
	if err := errors.Join(o.err, o.full); err != nil {
		s.Err = err.Error()
	}
	return s
}
