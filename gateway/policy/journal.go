package policy

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/policy/archive"
)

// queue is how many records wait for the disk before they are dropped and counted:
// the audit log is the evidence, this log is for replay.
const queue = 4096

// journal keeps the last decisions in memory, to explain them, and writes all of
// them to a file.
type journal struct {
	key     []byte
	budgets *budget.Budgets

	ring   []slot
	places *shares

	lines chan any
	spare sync.Pool // of *record, for those that wait to be written
	text  []byte    // of the line that is written last
	done  chan struct{}
	file  *archive.Archive
	once  sync.Once
	err   error // of the last write, read after done
}

// slot holds a record by value: what is kept of a decision costs no allocation.
type slot struct {
	mu  sync.Mutex // guards rec
	rec record
}

func newJournal(c Config) (*journal, error) {
	j := &journal{key: c.LogKey, budgets: c.Budgets, ring: make([]slot, c.Keep), places: newShares(c.Keep)}
	if len(j.key) == 0 {
		j.key = make([]byte, 32)
		_, _ = rand.Read(j.key) // never fails (crypto/rand)
	}
	if c.LogFile == "" {
		return j, nil
	}
	f, err := archive.Open(archive.Config{Path: c.LogFile, MaxBytes: c.LogMaxBytes, Keep: c.LogKeep})
	if err != nil {
		return nil, fmt.Errorf("open the decision log: %w", err)
	}
	j.file, j.lines, j.done = f, make(chan any, queue), make(chan struct{})
	go j.write()
	return j, nil
}

// add keeps a record. It never waits.
func (j *journal) add(r *record) {
	if !r.unasked() {
		j.keep(r)
	}
	if j.lines == nil {
		return
	}
	if err := j.budgets.Spend(budget.Of(r.facts.Caller), budget.Logs, lineBytes); err != nil {
		logDropped.Inc() // one caller's decisions leave room for those of others
		return
	}
	kept, ok := j.spare.Get().(*record)
	if !ok {
		kept = new(record)
	}
	*kept = *r // which lives as long as its decision takes
	j.send(kept)
}

// lineBytes is about how long a line of the log is.
const lineBytes = 1 << 10

// keep replaces the oldest record, or the caller's own oldest.
func (j *journal) keep(r *record) {
	s := &j.ring[j.places.take(r.facts.Caller.Key())]
	s.mu.Lock()
	s.rec = *r
	s.mu.Unlock()
}

// retire lets go of the policies of decisions that are kept, all but those given: what a
// policy was, data of any size, would otherwise stay as long as its last decision.
func (j *journal) retire(all ...*snapshot) {
	retired := map[*snapshot]*snapshot{}
	for i := range j.ring {
		s := &j.ring[i]
		s.mu.Lock()
		if old := s.rec.snapshot; old != nil && !old.retired && !slices.Contains(all, old) {
			if retired[old] == nil {
				retired[old] = old.retire()
			}
			s.rec.snapshot = retired[old]
		}
		s.mu.Unlock()
	}
}

// send hands a line to the writer, or drops it.
func (j *journal) send(line any) {
	if j.lines == nil {
		return
	}
	select {
	case j.lines <- line:
	default:
		logDropped.Inc()
	}
}

// find looks through what is kept for an id, which happens rarely.
func (j *journal) find(is func(id string) bool) *record {
	for i := range j.ring {
		s := &j.ring[i]
		s.mu.Lock()
		var r *record
		if s.rec.snapshot != nil && is(s.rec.decision.ID) {
			r = s.rec.clone()
		}
		s.mu.Unlock()
		if r != nil {
			return r
		}
	}
	return nil
}

// flushEvery is how long a line waits for others before all of them are written
// together. A decision is in memory for longer than that.
const flushEvery = 20 * time.Millisecond

// write writes lines until the journal is closed.
func (j *journal) write() {
	defer close(j.done)
	var due <-chan time.Time // nil when nothing waits to be flushed
	for {
		select {
		case <-due:
			due = nil
			j.note(j.file.Flush())
		case line := <-j.lines:
			if line == nil {
				j.note(j.file.Flush())
				return
			}
			if flushed, ok := line.(chan struct{}); ok {
				j.note(j.file.Flush())
				close(flushed)
				continue
			}
			if err := j.writeLine(line); err != nil {
				j.err = err
				logDropped.Inc()
			}
			if due == nil {
				due = time.After(flushEvery)
			}
		}
	}
}

// writeLine writes a record, or another line that JSON can hold.
func (j *journal) writeLine(line any) (err error) {
	if r, ok := line.(*record); ok {
		j.text, err = r.append(j.text[:0], j.key)
		*r = record{} // it must not keep a policy alive
		j.spare.Put(r)
	} else {
		var raw []byte
		raw, err = json.Marshal(line)
		j.text = append(j.text[:0], raw...)
	}
	if err == nil {
		j.text = append(j.text, '\n')
		err = j.file.Write(j.text)
	}
	if cap(j.text) > 1<<20 {
		j.text = nil
	}
	return err
}

func (j *journal) note(err error) {
	if err != nil {
		j.err = err
	}
}

// recall finds a decision that is in the log and not in memory any more, nil when it is
// nowhere.
func (j *journal) recall(id string) (*Record, error) {
	if j.file == nil {
		return nil, nil
	}
	line, err := j.file.Find(id)
	if errors.Is(err, archive.ErrAbsent) {
		return nil, nil
	}
	var r Record
	if err == nil {
		err = json.Unmarshal(line, &r)
	}
	return &r, err
}

// close writes what waits and closes the file. Decisions may still be made, and are
// not written any more.
func (j *journal) close() error {
	if j == nil || j.lines == nil {
		return nil
	}
	var err error
	j.once.Do(func() {
		j.lines <- nil
		<-j.done
		if err = j.err; err == nil {
			err = j.file.Close()
		}
	})
	return err
}

// Flush returns when the log has been written up to now. Replaying needs every
// decision, and a test makes them faster than a disk writes.
func (e *Engine) Flush() {
	if e.log.lines == nil {
		return
	}
	done := make(chan struct{})
	e.log.lines <- done
	<-done
}
