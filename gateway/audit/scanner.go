package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
)

// Scanner reads evidence line by line, however long the lines are. It keeps no more
// than maxLine bytes of one; the hash is of all of it.
type Scanner struct {
	r      *bufio.Reader
	line   []byte
	keep   int
	size   int64
	sum    [sha256.Size]byte
	hashed bool // sum is of the line
	ended  bool // the line ends in a newline
	err    error
}

// NewScanner returns a scanner.
func NewScanner(r io.Reader) *Scanner {
	return &Scanner{r: bufio.NewReaderSize(r, 256<<10), keep: maxLine}
}

// Keep changes how many bytes of a line are kept.
func (s *Scanner) Keep(n int) { s.keep = n }

// Scan reads the next line. It returns false at the end and after an error.
func (s *Scanner) Scan() bool {
	if s.err != nil {
		return false
	}
	part, err := s.r.ReadSlice('\n')
	if err == nil { // the line is in the buffer as a whole
		s.line = part[:len(part)-1]
		s.size, s.ended, s.hashed = int64(len(s.line)), true, false
		return true
	}
	return s.long(part, err)
}

// long reads a line that is longer than the buffer, or that no newline ends.
func (s *Scanner) long(part []byte, err error) bool {
	h := sha256.New()
	s.line, s.size = nil, 0
	for {
		text := bytes.TrimSuffix(part, []byte("\n"))
		_, _ = h.Write(text) // never fails (hash.Hash)
		s.size += int64(len(text))
		s.line = append(s.line, text[:min(len(text), s.keep-len(s.line))]...)
		if err != bufio.ErrBufferFull { //nolint:errorlint // bufio returns it as it is
			break
		}
		part, err = s.r.ReadSlice('\n')
	}
	s.ended = err == nil
	h.Sum(s.sum[:0])
	s.hashed = true
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
		return false
	}
	return s.ended || s.size > 0
}

// Bytes is the line without its newline, valid until the next Scan.
func (s *Scanner) Bytes() []byte { return s.line }

// Size is the length of the line.
func (s *Scanner) Size() int64 { return s.size }

// Sum is the SHA-256 of the line.
func (s *Scanner) Sum() [sha256.Size]byte {
	if !s.hashed {
		s.sum, s.hashed = sha256.Sum256(s.line), true
	}
	return s.sum
}

// Ended tells whether a newline ends the line.
func (s *Scanner) Ended() bool { return s.ended }

// Err is what ended the reading before the end, nil when nothing did.
func (s *Scanner) Err() error { return s.err }
