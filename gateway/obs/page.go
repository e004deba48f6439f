package obs

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// pageEvery is how often a page is made at most: making one costs as much as tens of
// calls, and it is there for whoever asks.
const pageEvery = 250 * time.Millisecond

// sharedPage is a page that whoever asks at the same time shares. It is never older than
// the question.
type sharedPage struct {
	mu   sync.Mutex // guards the fields below
	next *pageToCome
	last time.Time // when one was begun
}

// pageToCome is a page that has not been begun.
type pageToCome struct {
	made chan struct{} // closed when there is one
	text []byte
}

// write writes the next page that is begun.
func (p *sharedPage) write(w io.Writer, fill func(io.Writer)) {
	p.mu.Lock()
	n, wait := p.next, time.Until(p.last.Add(pageEvery))
	first := n == nil
	if first {
		n = &pageToCome{made: make(chan struct{})}
		p.next = n
	}
	p.mu.Unlock()
	if first {
		p.fill(n, wait, fill)
	}
	<-n.made
	_, _ = w.Write(n.text) // whoever asked has gone
}

// fill makes a page when it is time.
func (p *sharedPage) fill(n *pageToCome, wait time.Duration, fill func(io.Writer)) {
	defer close(n.made)
	time.Sleep(wait)
	p.mu.Lock()
	p.next, p.last = nil, time.Now()
	p.mu.Unlock()
	var page bytes.Buffer
	fill(&page)
	n.text = page.Bytes()
}
