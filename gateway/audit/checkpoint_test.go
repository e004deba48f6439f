package audit_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"portcullis/gateway/audit"
	"portcullis/gateway/audit/tree"
	"portcullis/gateway/op"
)

// elsewhere signs as a service does that leaves lines about it in the evidence.
type elsewhere struct {
	log    *audit.Log
	key    ed25519.PrivateKey
	away   bool
	signed int
}

func (e *elsewhere) sign(_ context.Context, text []byte) (tree.Signature, error) {
	u := audit.Upkeep{ID: "sign-1", Method: "PUT", Path: "transit/sign/evidence", Evidence: true}
	e.log.Upkeep(u)
	defer func() { u.Code, u.Sent = "ok", op.Traffic{Requests: 1}; e.log.Upkeep(u) }()
	if e.away {
		return tree.Signature{}, errors.New("away")
	}
	e.signed++
	return tree.Signature{Public: e.key.Public().(ed25519.PublicKey), Bytes: ed25519.Sign(e.key, text)}, nil
}

// TestASignerElsewhere: lines about the signing ask for no checkpoint, so an idle log is
// not signed again; while the signer is away lines are written and the log says since when,
// and the end does not wait for it.
func TestASignerElsewhere(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	e := &elsewhere{key: key}
	e.log = audit.Open(audit.Config{Path: path, Sign: true, Signer: e.sign})
	sign := func(away bool, want int) {
		t.Helper()
		e.away = away
		err := e.log.Checkpoint(t.Context())
		if (err != nil) != away || e.log.UnsignedSince().IsZero() == away || e.signed != want {
			t.Fatalf("away %v: signed %d times, want %d; unsigned since %v; %v", away, e.signed, want, e.log.UnsignedSince(), err)
		}
	}
	write := func() {
		t.Helper()
		if err := e.log.Intent(record(t, `{"path":"a"}`)); err != nil {
			t.Fatal(err)
		}
	}
	write()
	sign(false, 1)
	sign(false, 1) // nothing but the lines about the signing has come
	write()
	sign(true, 1)
	write()
	sign(false, 2)
	write()
	if err := e.log.Close(); err != nil || e.signed != 2 {
		t.Errorf("the end waits for the signer: signed %d times, %v", e.signed, err)
	}
	all := chained(t, path)
	text, err := os.ReadFile(audit.Beside(path, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := os.ReadFile(audit.Beside(path, "public"))
	if err != nil {
		t.Fatal(err)
	}
	public, err := tree.Public(keys)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := tree.OpenCheckpoint(text, public); err != nil || c.Seq != uint64(len(all)-3) {
		t.Errorf("the checkpoint is of line %d of %d: %v", c.Seq, len(all), err)
	}
	if _, err := os.Stat(audit.Beside(path, "key")); err == nil {
		t.Error("a key was made in a file")
	}
}

// TestASignatureThatIsNoneIsRefused: no checkpoint is kept that its key does not verify.
func TestASignatureThatIsNoneIsRefused(t *testing.T) {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := audit.Open(audit.Config{Path: path, Sign: true, Signer: func(context.Context, []byte) (tree.Signature, error) {
		return tree.Signature{Public: public, Bytes: ed25519.Sign(key, []byte("another text"))}, nil
	}})
	if err := l.Intent(record(t, `{"path":"a"}`)); err != nil {
		t.Fatal(err)
	}
	if err := l.Checkpoint(t.Context()); err == nil {
		t.Error("it is taken")
	}
	if _, err := os.Stat(audit.Beside(path, "checkpoint")); err == nil {
		t.Error("it is kept")
	}
}

// TestTheKeyIsThereWhenTheGatewayIsReady, before there is anything to sign: whoever backs
// up its public half does not have to wait.
func TestTheKeyIsThereWhenTheGatewayIsReady(t *testing.T) {
	c := audit.Config{Path: filepath.Join(t.TempDir(), "audit.jsonl"), Sign: true}
	if err := audit.Open(c).Check(); err != nil {
		t.Fatal(err)
	}
	if _, err := tree.PublicOf(c.KeyFile()); err != nil {
		t.Error(err)
	}
}
