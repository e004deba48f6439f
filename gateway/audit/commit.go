package audit

type entry struct {
	body  []byte // a JSON object without seq and prev
	other []byte // what the filter makes of it
	err   error
}

// batch is the records that one write(2) takes. The one that made it writes it, when
// the write before has ended; who comes until then joins it.
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
	return e.err
}

// join puts the entry into the batch that is next. It returns nil to the one that
// made the batch and has to write it.
func (l *Log) join(e *entry) (done chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next == nil {
		l.next = &batch{entries: append(make([]*entry, 0, 4), e)}
		return nil
	}
	b := l.next
	b.entries = append(b.entries, e)
	if b.done == nil {
		b.done = make(chan struct{})
	}
	return b.done
}
