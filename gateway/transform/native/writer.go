package native

import (
	"bytes"
	"io"
)

// maxLine is the longest line that is looked at as a whole. Of a longer one
// nothing is written: a secret could be cut in two anywhere.
const maxLine = 1 << 20

const tooLong = "[line too long]\n"

// Writer redacts a stream line by line, so that a secret is found whatever
// pieces the stream arrives in. A private key block is held until it ends.
type Writer struct {
	r       *Redactor
	w       io.Writer
	held    []byte
	out     []byte
	line    int  // where the last line begins in held
	inKey   bool // the lines before it open a private key and do not close it
	dropped bool
}

// NewWriter returns a writer that must be closed to write its last line. It is
// not safe for concurrent use.
func NewWriter(r *Redactor, w io.Writer) *Writer { return &Writer{r: r, w: w} }

// Write takes all of p. What it writes ends with a whole line.
func (w *Writer) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		line := p
		end := bytes.IndexByte(p, '\n')
		if end >= 0 {
			line = p[:end+1]
		}
		p = p[len(line):]
		w.hold(line)
		if end < 0 || w.insideKey() {
			continue
		}
		if err := w.flush(); err != nil {
			return total - len(p), err
		}
	}
	return total, nil
}

// hold keeps a piece, unless the line is too long already.
func (w *Writer) hold(piece []byte) {
	if w.dropped = w.dropped || len(w.held)+len(piece) > maxLine; !w.dropped {
		w.held = append(w.held, piece...)
	}
}

// insideKey looks at the line that has just ended, and tells whether the held text
// opens a private key and has not closed it.
func (w *Writer) insideKey() bool {
	if w.dropped {
		return false
	}
	line := w.held[w.line:]
	w.line = len(w.held)
	if begin := bytes.LastIndex(line, []byte("-----BEGIN ")); begin >= 0 {
		line = line[begin:]
		w.inKey = bytes.Contains(line, []byte("PRIVATE KEY"))
	}
	w.inKey = w.inKey && !bytes.Contains(line, []byte("-----END "))
	return w.inKey
}

func (w *Writer) flush() error {
	w.out = w.r.Append(w.out[:0], w.held)
	if w.dropped {
		w.out = append(w.out[:0], tooLong...)
	}
	clear(w.held)
	w.held, w.line, w.inKey, w.dropped = w.held[:0], 0, false, false
	_, err := w.w.Write(w.out)
	return err
}

// Close writes what is left. It does not close the writer below.
func (w *Writer) Close() error {
	if len(w.held) == 0 && !w.dropped {
		return nil
	}
	return w.flush()
}
