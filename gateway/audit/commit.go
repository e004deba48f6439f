package audit

type entry struct {
	body  []byte // a JSON object without seq and prev
	other []byte // what the filter makes of it
	quiet bool   // it does not ask for a checkpoint
	err   error
}

// batch is the records that one write(2) takes. The one that made it writes it, when
// the write before has ended; whoever comes until then joins it.
type batch struct {
	entries []*entry
	done    chan struct{} // closed when it is written; nil when nobody joined
}

// append writes a record together with those that wait at the same time.
func (l *Log) append(e *entry) error {
	if len(e.body) < 3 {
		return errEmpty
	}
	e.err = nil
	if done := l.join(e); done != nil {
		<-done
		return e.err
	}
	l.turn.Lock()
	l.mu.Lock()
	b := l.next
	l.next = nil
	l.mu.Unlock()
	_ = l.chain.write(b.entries, l.cfg.Group) // each entry has its error
	l.turn.Unlock()
	if b.done != nil {
		close(b.done)
	}
	l.keepBatch(b)
	return e.err
}

// keepBatch keeps a batch to be used again: who joined it waits for the channel alone.
func (l *Log) keepBatch(b *batch) {
	clear(b.entries)
	b.entries, b.done = b.entries[:0], nil
	l.batches.Put(b)
}

// join puts the entry into the batch that is next. It returns nil to the one that
// made the batch and has to write it.
func (l *Log) join(e *entry) (done chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next == nil {
		b, ok := l.batches.Get().(*batch)
		if !ok {
			b = &batch{}
		}
		b.entries = append(b.entries, e)
		l.next = b
		return nil
	}
	b := l.next
	b.entries = append(b.entries, e)
	if b.done == nil {
		b.done = make(chan struct{})
	}
	return b.done
}
