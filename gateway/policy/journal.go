package policy

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"portcullis/gateway/budget"
	"portcullis/gateway/policy/archive"
)

// journal keeps the last decisions in memory, to explain them, and writes all of
// them to a file.
type journal struct {
	key     []byte
	budgets *budget.Budgets

	ring   []slot
	places *shares

	lines   *lines   // nil when nothing is written
	telling *telling // nil when nobody else is told
}

// slot holds a record by value: what is kept of a decision costs no allocation.
type slot struct {
	mu  sync.Mutex // guards rec
	rec record
}

func newJournal(c Config) (*journal, error) {
	j := &journal{key: c.LogKey, budgets: c.Budgets, ring: make([]slot, c.Keep), places: newShares(c.Keep), telling: newTelling(c.Shared, c.Keep)}
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
	j.lines = newLines(f)
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
	j.lines.add(func(b []byte) ([]byte, error) { return r.append(b, j.key) })
}

// lineBytes is about how long a line of the log is.
const lineBytes = 1 << 10

// keep replaces the oldest record, or the caller's own oldest.
func (j *journal) keep(r *record) {
	i := j.places.take(r.facts.Caller.Key())
	s := &j.ring[i]
	s.mu.Lock()
	s.rec = *r
	s.mu.Unlock()
	j.telling.add(i)
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

// send writes a line that JSON can hold. It never waits for the disk.
func (j *journal) send(line any) {
	if j.lines != nil {
		j.lines.add(func(b []byte) ([]byte, error) {
			raw, err := json.Marshal(line)
			return append(b, raw...), err
		})
	}
}

// find looks through what is kept for an id, which happens rarely.
func (j *journal) find(id string) *record {
	for i := range j.ring {
		s := &j.ring[i]
		s.mu.Lock()
		var r *record
		if s.rec.snapshot != nil && s.rec.decision.ID == id {
			r = s.rec.clone()
		}
		s.mu.Unlock()
		if r != nil {
			return r
		}
	}
	return nil
}

// recall finds a decision that is in the log and not in memory any more, nil when it is
// nowhere.
func (j *journal) recall(id string) (*Record, error) {
	if j.lines == nil {
		return nil, nil
	}
	line, err := j.lines.file.Find(id)
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
	return j.lines.close()
}

// Flush returns when the log has been written up to now. Replaying needs every
// decision, and a test makes them faster than a disk writes.
func (e *Engine) Flush() {
	if e.log.lines != nil {
		e.log.lines.flush()
	}
}
