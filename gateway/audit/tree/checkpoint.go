package tree

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Origin is the first line of a checkpoint and the name of the key that signs it.
const Origin = "portcullis-audit"

// Checkpoint says what a chain was at a time (C2SP tlog-checkpoint): the size and the
// root of its tree, and in extension lines the number and the hash of its last line.
type Checkpoint struct {
	Size int64
	Root tlog.Hash
	Seq  uint64
	Last [sha256.Size]byte
	Time time.Time
}

// Signer signs a text with an ed25519 key. It may wait, until ctx ends, for somebody who
// has the key.
type Signer func(ctx context.Context, text []byte) (Signature, error)

// Signature is one of ed25519, with the key that verifies it.
type Signature struct {
	Public ed25519.PublicKey
	Bytes  []byte
}

var errSignature = errors.New("the signature of the checkpoint is not one of the key that should have made it")

// Sign returns the checkpoint as a signed note, and the verifier key of the note. A
// signature that does not verify is an error.
func (c Checkpoint) Sign(ctx context.Context, sign Signer) (signedNote []byte, verifierKey string, err error) {
	text := fmt.Sprintf("%s\n%d\n%s\nline %d %x\ntime %s\n",
		Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]), c.Seq, c.Last, c.Time.UTC().Format(time.RFC3339))
	s, err := sign(ctx, []byte(text))
	if err != nil {
		return nil, "", err
	}
	if verifierKey, err = VerifierKey(s.Public); err != nil {
		return nil, "", err
	}
	v, err := note.NewVerifier(verifierKey)
	if err != nil {
		return nil, "", err
	}
	if !v.Verify([]byte(text), s.Bytes) {
		return nil, "", errSignature
	}
	signedNote, err = note.Sign(&note.Note{Text: text}, given{v, s.Bytes})
	return signedNote, verifierKey, err
}

// given is a signature that has been made.
type given struct {
	note.Verifier
	signature []byte
}

// Sign implements note.Signer.
func (g given) Sign([]byte) ([]byte, error) { return g.signature, nil }

var errForm = errors.New("not a checkpoint of evidence")

// OpenCheckpoint reads a signed checkpoint and checks its signature.
func OpenCheckpoint(text []byte, keys note.Verifiers) (Checkpoint, error) {
	n, err := note.Open(text, keys)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	return parseCheckpoint(n.Text)
}

// ParseCheckpoint reads a checkpoint without checking who signed it.
func ParseCheckpoint(text []byte) (Checkpoint, error) { return parseCheckpoint(string(text)) }

func parseCheckpoint(text string) (c Checkpoint, err error) {
	l := strings.Split(text, "\n")
	if len(l) < 6 || l[0] != Origin {
		return c, errForm
	}
	var seq, last, when string
	if _, err := fmt.Sscanf(l[3]+" "+l[4], "line %s %s time %s", &seq, &last, &when); err != nil {
		return c, errForm
	}
	root, rerr := base64.StdEncoding.DecodeString(l[2])
	sum, serr := hex.DecodeString(last)
	if len(root) != len(c.Root) || len(sum) != len(c.Last) {
		return c, errForm
	}
	copy(c.Root[:], root)
	copy(c.Last[:], sum)
	var nerr, qerr, terr error
	c.Size, nerr = strconv.ParseInt(l[1], 10, 64)
	c.Seq, qerr = strconv.ParseUint(seq, 10, 64)
	c.Time, terr = time.Parse(time.RFC3339, when)
	if errors.Join(rerr, serr, nerr, qerr, terr) != nil {
		return c, errForm
	}
	return c, nil
}
