package protocol

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
)

// maxLine bounds one message on stdin, in bytes.
const maxLine = 1 << 20

// Line is one line that was read: its bytes, or the id of a message that was too
// long for them.
type Line struct {
	Text    []byte
	ID      jsontext.Value
	TooLong bool
	err     error // why there is no further line
}

// EachLine calls f with each line that is not empty, until in ends or ctx does. A read
// that waits is left behind when ctx ends: nothing else ends one of a terminal or pipe.
func EachLine(ctx context.Context, in io.Reader, f func(Line) error) error {
	lines := make(chan Line)
	go readLines(ctx, bufio.NewReaderSize(in, maxLine), lines)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case l := <-lines:
			if errors.Is(l.err, io.EOF) {
				return nil
			}
			if l.err != nil {
				return l.err
			}
			if err := f(l); err != nil {
				return err
			}
		}
	}
}

func readLines(ctx context.Context, r *bufio.Reader, to chan<- Line) {
	send := func(l Line) bool {
		select {
		case to <- l:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for {
		l, err := readLine(r)
		if (l.TooLong || len(l.Text) > 0) && !send(l) {
			return
		}
		if err != nil {
			send(Line{err: err})
			return
		}
	}
}

// readLine reads a line. Of one that is too long it keeps the id of the message alone,
// wherever in it that is.
func readLine(r *bufio.Reader) (l Line, err error) {
	chunk, err := r.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		l.Text = bytes.Clone(bytes.TrimSpace(chunk))
		return l, err
	}
	l.TooLong = true
	var s idScanner
	for s.scan(chunk); errors.Is(err, bufio.ErrBufferFull); s.scan(chunk) {
		chunk, err = r.ReadSlice('\n')
	}
	l.ID = s.id()
	return l, err
}

// TooLong is the answer to a message that does not fit into a line.
func TooLong() *Fault {
	const msg = "the message is longer than " + maxLineText + " bytes, the most that one line may hold: send less at once"
	return &Fault{Code: CodeParse, Msg: msg, Data: WireError{Code: call.BodyTooLarge, Message: msg}}
}

const maxLineText = "1048576"

// idScanner finds the member "id" of an object that comes in pieces, and keeps
// nothing else of it.
type idScanner struct {
	depth    int
	inString bool
	escaped  bool
	key      []byte // the string that was read last at the object's own level
	value    []byte // of the id
	reading  bool   // the value of the id
}

// scan looks at the next piece.
func (s *idScanner) scan(piece []byte) {
	for _, c := range piece {
		s.next(c)
	}
}

func (s *idScanner) next(c byte) {
	switch {
	case s.inString:
		s.keep(c)
		s.inString = c != '"' || s.escaped
		s.escaped = c == '\\' && !s.escaped
	case c == '"':
		s.inString = true
		if s.depth == 1 && !s.reading {
			s.key = s.key[:0]
		}
		s.keep(c)
	case c == ':' && s.depth == 1:
		s.reading = string(s.key) == `"id"` && s.value == nil
	case c == ',' && s.depth == 1:
		s.reading, s.key = false, s.key[:0]
	case c == '{' || c == '[':
		s.depth++
		s.reading = false
	case c == '}' || c == ']':
		s.depth--
		s.reading = false
	case s.reading:
		s.keep(c)
	}
}

// keep keeps a byte of a key or of the id, of which there are few.
func (s *idScanner) keep(c byte) {
	switch {
	case s.depth != 1:
	case s.reading && len(s.value) <= maxID:
		s.value = append(s.value, c)
	case !s.reading && len(s.key) <= len(`"id"`):
		s.key = append(s.key, c)
	}
}

// ID is the id that was found, nil when there is no legal one.
func (s *idScanner) id() jsontext.Value {
	id := jsontext.Value(bytes.TrimSpace(s.value))
	if !id.IsValid() || !legalID(id) {
		return nil
	}
	return id
}

// Output writes messages, one in a line. When the other end has closed the pipe there
// is nobody left to serve: gone is called.
type Output struct {
	W    io.Writer
	Gone func()

	mu sync.Mutex // guards writes
}

func (o *Output) Write(msg []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, err := o.W.Write(append(msg, '\n'))
	if err != nil {
		o.Gone()
	}
	return err
}

// lastAnswers is how long requests may run on when the client says nothing more: it
// may still read.
const lastAnswers = 10 * time.Second

// Drain waits for requests, as long as ctx lives.
func Drain(ctx context.Context, requests *sync.WaitGroup) {
	ctx, cancel := context.WithTimeout(ctx, lastAnswers)
	go func() {
		defer cancel()
		requests.Wait()
	}()
	<-ctx.Done()
}
