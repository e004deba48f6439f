// Package audit is the evidence: an intent line is in the file before an effect,
// a refusal line before its answer, an outcome line behind it. A line that cannot
// be written refuses the call.
//
// Each line is one JSON object. Its first members chain it to the line before: seq
// counts from 1, prev is the lower-case hex SHA-256 of that line without its
// newline, 64 zeros for the first of a chain. A record is built value by value, and
// a free text is redacted before it is quoted; names, paths, ids and codes are
// written as they are.
package audit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"portcullis/gateway/audit/tree"
	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/retry"
)

// Log appends records to one file, one JSON object a line. write(2) has returned
// when a method returns, so a killed process loses no line. A file that could not
// be opened or written is tried again with the next record.
type Log struct {
	cfg     Config
	args    *op.ArgumentRecorder
	spare   sync.Pool // of *entry
	batches sync.Pool // of *batch
	callers *tally
	peers   *tally

	mu   sync.Mutex // guards next
	next *batch     // the records that the next write takes; nil when nobody waits

	signing sync.Mutex // guards signer
	signer  signer

	turn  sync.Mutex // held by the one that writes; guards chain
	chain chain
}

// Config says where the evidence goes.
type Config struct {
	// Path is the file, "-" for standard output.
	Path string
	// Group lets every write be followed by an fsync.
	Group bool
	// Redact removes from a free text what must not be kept. Optional.
	Redact op.Redact
	// Filter sees every record, a JSON object, before it is written. It appends what is
	// written to dst and must not keep the slices. What it makes of a record must be a
	// JSON object with the same names, or the record stays as it was. Optional.
	Filter func(dst, line []byte) []byte
	// Segments says when a file is full. The zero value is one file for ever.
	Segments Segments
	// Share lets a second process that finds the file in use write beside it, to
	// NAME.2.jsonl and so on, where each keeps a chain of its own. Otherwise its
	// records are refused.
	Share bool
	// Sign lets a checkpoint of the tree over all lines be signed a second after a line
	// at the latest, into NAME.checkpoint beside the file, with the public half of the key
	// in NAME.public. SignKey is the file of the ed25519 key (PKCS 8 in PEM), NAME.key when
	// it is empty; one is made where none is.
	Sign    bool
	SignKey string
	// Signer signs in the place of the key in a file. Whoever has it may be out of reach:
	// then checkpoints are late, and lines are written all the same. Close does not wait
	// for it; call Checkpoint before. Optional.
	Signer tree.Signer
	// Signed is called with every new checkpoint, a signed note. It must not wait. Optional.
	Signed func(checkpoint []byte)
	// Unsigned is called with the reason when a checkpoint could not be signed. Optional.
	Unsigned func(error)
	// Untiled is called with the reason when parts of the tree that could not be written in
	// time cannot be made again from the files: proofs of their lines need all of these. Optional.
	Untiled func(error)
	// Spend takes the bytes of a caller's record from its share of a second. Its error
	// refuses the call; a refusal that does not fit is counted instead of written. What
	// is done has its outcome written in any case, for which the intent has paid.
	// Optional.
	Spend func(c *call.Caller, bytes int) error
	// Ended is called with refusals that were counted, when their window has ended. Optional.
	Ended func(Refusals)
	// Written is offered each line that is in the file, in order and without its newline.
	// The file waits for it, so it must return at once; it must not keep the line. Optional.
	Written func(line []byte)
}

// Open makes a log. The file is opened with the first record; Check tells early
// whether it can be.
func Open(c Config) *Log {
	return &Log{
		cfg: c, args: op.NewArgumentRecorder(c.Redact), chain: newChain(c),
		callers: newTally(linesPerWindow, maxCallers), peers: newTally(0, maxPeers),
	}
}

// Check opens the file, if it is not open, and reports whether that works and
// whether what was to be written last could be. The key in a file is there afterwards;
// what is wrong with it is said when it is to sign.
func (l *Log) Check() error {
	err := l.check()
	if err == nil && l.cfg.Signer == nil && l.signing.TryLock() { // who signs has the key, and nobody waits for either
		defer l.signing.Unlock()
		_ = l.haveKey() // checkpoint reports it
	}
	return err
}

func (l *Log) check() error {
	l.turn.Lock()
	defer l.turn.Unlock()
	if err := l.chain.ready(time.Now()); err != nil {
		return err
	}
	if l.chain.failed == 0 {
		return nil
	}
	return l.chain.write(nil, l.cfg.Group) // says that records were refused, if it can
}

// Reopen lets the file go, so that the next record opens what has the name then. An
// operator says with it that the file was moved.
func (l *Log) Reopen() error {
	l.turn.Lock()
	defer l.turn.Unlock()
	return l.chain.reopen()
}

// Checkpoint signs what has been written and counted up to now.
func (l *Log) Checkpoint(ctx context.Context) error {
	l.flush(time.Now(), true)
	return l.checkpoint(ctx, time.Now(), true)
}

// Close writes what was only counted, signs with the key in the file and closes the
// evidence; the next record opens it again.
func (l *Log) Close() error {
	var signed error
	if l.cfg.Signer == nil {
		signed = l.Checkpoint(context.Background())
	} else {
		l.flush(time.Now(), true)
	}
	l.turn.Lock()
	defer l.turn.Unlock()
	return errors.Join(signed, l.chain.close())
}

// Run signs checkpoints, and writes the counts of refusals as their windows end, until ctx
// ends.
func (l *Log) Run(ctx context.Context) {
	var signing sync.WaitGroup
	defer signing.Wait()
	signing.Go(func() { l.keepSigned(ctx) })
	for retry.Sleep(ctx, windowLook) {
		l.flush(time.Now(), false)
	}
}

// Intent records what is about to be done. Its error is that of Config.Spend as it is
// when the caller's evidence is too much.
func (l *Log) Intent(r *op.Record) error { return l.record("intent", r) }

// Refusal records a call that is denied, limited or cannot be decided, and one whose
// arguments do not bind: of those it keeps nothing, because nobody knows what they
// are. After the first few of a caller, a code and a window it counts those of what was
// refused in the window before, and the count is a line at the end of the window.
func (l *Log) Refusal(r *op.Record) error {
	s := subject{key: r.Request.Caller.Key(), caller: r.Request.Caller}
	what := refusal{code: r.Code(), op: opOf(r), name: nameOf(r)}
	if !l.callers.show(s, what, time.Now()) {
		return nil
	}
	err := l.record("refusal", r)
	if err != nil {
		l.callers.unshow(s, r.Code())
	}
	if errors.Is(err, errSpent) {
		l.callers.count(s, what, time.Now())
		return nil
	}
	return err
}

// Unauthenticated counts a request whose sender is not known, by its address, for
// one line at the end of the window. rule is which rule was broken. It tells whether
// it is the first of its window.
func (l *Log) Unauthenticated(addr, code, rule string) (first bool) {
	return l.peers.count(subject{key: addr, addr: addr}, refusal{code: code, rule: rule}, time.Now())
}

// Outcome records what came of an intent.
func (l *Log) Outcome(r *op.Record) error { return l.record("outcome", r) }

func (l *Log) record(kind string, r *op.Record) error {
	return l.put(r.Request.Caller, kind, false, func(b []byte) ([]byte, error) { return l.appendRecord(b, kind, r) })
}

// put encodes a record and appends it, within the caller's share where there is one. A
// quiet one does not ask for a checkpoint.
func (l *Log) put(who *call.Caller, kind string, quiet bool, encode func([]byte) ([]byte, error)) error {
	e, ok := l.spare.Get().(*entry)
	if !ok {
		e = &entry{}
	}
	defer l.free(e)
	e.quiet = quiet
	var err error
	if e.body, err = encode(e.body[:0]); err == nil {
		e.body = escapeHidden(l.filtered(e))
		if err := l.spend(who, kind, len(e.body)); err != nil {
			return err
		}
		err = l.append(e)
	}
	if err != nil {
		failures.Inc()
		return fmt.Errorf("write audit record: %w", err)
	}
	return nil
}

// errSpent says that a caller's evidence is too much.
var errSpent = errors.New("the caller's share of evidence is used up")

// spend takes what a record and what follows it are going to be: an outcome is about as
// long as its intent.
func (l *Log) spend(who *call.Caller, kind string, n int) error {
	if l.cfg.Spend == nil || who == nil || kind == "outcome" {
		return nil
	}
	if kind == "intent" {
		n *= 2
	}
	if err := l.cfg.Spend(who, n); err != nil {
		return errors.Join(err, errSpent)
	}
	return nil
}

// filtered is the record after the filter, which may change values but no names.
func (l *Log) filtered(e *entry) []byte {
	if l.cfg.Filter == nil {
		return e.body
	}
	e.other = l.cfg.Filter(e.other[:0], e.body)
	if string(e.other) == string(e.body) {
		return e.body
	}
	if !sameNames(e.body, e.other) {
		return append(e.body[:len(e.body)-1], `,"redactor":"failed:names"}`...)
	}
	e.body, e.other = e.other, e.body
	return e.body
}

const keepBuffer = 64 << 10

func (l *Log) free(e *entry) {
	if cap(e.body) > keepBuffer || cap(e.other) > keepBuffer {
		return
	}
	l.spare.Put(e)
}

var errEmpty = errors.New("the audit record is empty")
