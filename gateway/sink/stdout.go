package sink

import (
	"context"
	"io"
)

// stdout writes lines to standard output. Whoever does not read it blocks a write for
// as long as it likes, and nothing but that.
type stdout struct {
	w      io.Writer
	form   formatter
	busy   chan error // the write that is under way; nil for none
	number uint64     // its batch
}

func (s *stdout) send(ctx context.Context, b batch) error {
	if s.busy == nil {
		done := make(chan error, 1)
		s.busy, s.number = done, b.number
		go func() {
			_, err := s.w.Write(s.form.lines(b.lines))
			done <- err
		}()
	}
	select {
	case err := <-s.busy:
		s.busy = nil
		return err
	case <-ctx.Done():
		return ctx.Err() // the next call waits for the same write
	}
}

func (s *stdout) close() error { return nil }
