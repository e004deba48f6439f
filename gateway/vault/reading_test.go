package vault

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

// errReset is what a reader gives in the middle of an answer.
var errReset = errors.New("connection reset")

// breaking gives an error with the last bytes that it has, and then an end, as the body of a
// connection that broke may.
type breaking struct {
	from io.Reader
	left int
}

func (b *breaking) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.from.Read(p[:min(len(p), b.left)])
	if b.left -= n; b.left == 0 {
		err = errReset
	}
	return n, err
}

// TestAnswersAreReadWhole: whatever its length, an answer is all of its bytes or an error,
// in memory that had another answer before.
func TestAnswersAreReadWhole(t *testing.T) {
	var b buffers
	for i, size := range []int{0, 1, tinyReply - 1, tinyReply, tinyReply + 1, smallReply - 1, smallReply, smallReply + 1, smallReply + replyPiece, 300_000, smallReply} {
		whole := bytes.Repeat([]byte{byte('a' + i)}, size)
		for name, from := range map[string]func() io.Reader{
			"at once":         func() io.Reader { return bytes.NewReader(whole) },
			"end with data":   func() io.Reader { return iotest.DataErrReader(bytes.NewReader(whole)) },
			"half of a piece": func() io.Reader { return iotest.HalfReader(bytes.NewReader(whole)) },
		} {
			raw, done, err := b.read(t.Context(), from(), maxReply, nil)
			if err != nil || !bytes.Equal(raw, whole) {
				t.Fatalf("%d bytes, %s: got %d, %v", size, name, len(raw), err)
			}
			if done(); size > smallReply && bytes.ContainsAny(raw, "abcdefghijk") {
				t.Errorf("%d bytes, %s: they are kept", size, name)
			}
		}
		if size == 0 {
			continue
		}
		for name, from := range map[string]io.Reader{
			"broken":       io.MultiReader(bytes.NewReader(whole), iotest.ErrReader(errReset)),
			"broken, data": &breaking{bytes.NewReader(whole), size},
		} {
			if _, _, err := b.read(t.Context(), from, maxReply, nil); !errors.Is(err, errReset) {
				t.Errorf("%d bytes, %s: got %v", size, name, err)
			}
		}
		if _, _, err := b.read(t.Context(), &breaking{iotest.ErrReader(io.ErrUnexpectedEOF), size}, maxReply, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut off: got %v", err)
		}
	}
}
