package keyset

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"portcullis/gateway/auth/jose"
	"portcullis/gateway/auth/rule"
	"portcullis/gateway/files"
	"portcullis/gateway/retry"
)

// Bounds of fetching because of a key that is not known.
const (
	// Patience is how long a call waits for a fetch. With a dead issuer this is
	// how long a token with an unknown key takes to be refused.
	Patience = 800 * time.Millisecond
	// Pause lies between two fetches that unknown keys cause and that bring nothing
	// new, however many come.
	Pause = 500 * time.Millisecond
	// FrugalPause is Pause for addresses that have presented many bad tokens.
	FrugalPause = 10 * time.Second
	// maxAsks bounds the waits of one call.
	maxAsks = 3
	// again lies between two fetches in the background while they go wrong.
	again = 5 * time.Second
)

// Options say where keys come from: exactly one of File, URL and Issuer.
type Options struct {
	File     string
	URL      string
	Issuer   string // keys are found by discovery,
	Discover bool   // which says so even when the issuer is empty
	CacheFor time.Duration
	StaleFor time.Duration
	Client   *http.Client
	// Report is told what came of every look at the source. Optional.
	Report func(changed bool, err error)
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

// Source is an issuer's keys over time. It is safe for concurrent use.
type Source struct {
	o     Options
	file  *files.File
	fetch func(context.Context) ([]byte, error)

	set   atomic.Pointer[Set]
	good  atomic.Int64 // when the set was last confirmed, in unix nanoseconds
	empty *Set         // stands in for a set that is too old

	failed atomic.Pointer[error] // why the last fetch brought nothing, nil when it did not fail

	mu     sync.Mutex // guards flight and asked
	flight *flight    // the fetch that is under way, else nil
	asked  time.Time  // when an unknown key last caused a fetch
}

// flight is one fetch that any number of calls wait for.
type flight struct {
	asked               bool // an unknown key caused it
	*retry.Shared[bool]      // whether it brought other keys
}

// New makes a source. A file is read at once, and an error when it cannot be; a
// fetched set is empty until Run or a first token fetches it.
func New(o Options) (*Source, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Client == nil {
		o.Client = Client()
	}
	if o.Report == nil {
		o.Report = func(bool, error) {}
	}
	s := &Source{o: o, empty: &Set{digest: digest(nil)}}
	s.set.Store(s.empty)
	switch {
	case o.File != "":
		s.file = files.New(o.File)
		_, err := s.Reload()
		return s, err
	case o.URL != "":
		s.fetch = func(ctx context.Context) ([]byte, error) { return get(ctx, o.Client, o.URL) }
		return s, CheckURL(o.URL)
	case o.Issuer != "" || o.Discover:
		s.fetch = s.discovered
		return s, CheckURL(o.Issuer)
	}
	return nil, errors.New("no source of keys")
}

func (s *Source) discovered(ctx context.Context) ([]byte, error) {
	address, err := discover(ctx, s.o.Client, s.o.Issuer)
	if err != nil {
		return nil, err
	}
	return get(ctx, s.o.Client, address)
}

// Current returns the keys that count now. Fetched keys that could not be
// confirmed for too long count no more.
func (s *Source) Current(now time.Time) *Set {
	if s.fetch != nil && now.UnixNano()-s.good.Load() > int64(s.o.CacheFor+s.o.StaleFor) {
		return s.empty
	}
	return s.set.Load()
}

// Effort says how much looking for a key that is not known is worth.
type Effort int

// The efforts.
const (
	// Patient looks for the key at the issuer, and waits for that.
	Patient Effort = iota
	// Frugal is for an address that has presented many bad tokens: the issuer is
	// asked once in FrugalPause at most, and the call does not wait for the answer.
	Frugal
)

// Verify checks the signature of a token and returns the key that made it, with the
// set that the key is in. A key that is not known is looked for at the issuer, once
// for any number of calls that ask together.
func (s *Source) Verify(ctx context.Context, t *jose.Token, effort Effort) (*jose.Key, *Set, error) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	more := s.fetch != nil
	for asked := 0; ; asked++ {
		set := s.Current(s.o.Now())
		k, err := set.Verify(t)
		if err == nil || !more || asked == maxAsks || !unknown(err) {
			return k, set, s.explain(err)
		}
		more = s.ask(ctx, effort)
	}
}

// unknown reports whether another set of keys could verify what this one cannot.
func unknown(err error) bool { return errors.Is(err, rule.KeyID) || errors.Is(err, errUnnamed) }

// explain adds to the lack of a key why the issuer's keys could not be fetched.
func (s *Source) explain(err error) error {
	if why := s.failed.Load(); err != nil && why != nil && unknown(err) {
		return fmt.Errorf("%w; the issuer's keys could not be fetched: %w", err, *why)
	}
	return err
}

// ask waits for a fetch and reports whether another may bring more: this one may
// have begun before the issuer had the key. After one that an unknown key caused
// and that brought nothing, more would be what a storm is made of.
func (s *Source) ask(ctx context.Context, effort Effort) (more bool) {
	f, wait := s.join(effort)
	if effort == Frugal {
		return false
	}
	if f == nil {
		return retry.Sleep(ctx, wait)
	}
	changed, err := f.Wait(ctx)
	return err == nil && (!f.asked || changed)
}

// join returns the fetch that is under way, or starts one, or says how long to
// wait before one may start.
func (s *Source) join(effort Effort) (*flight, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight != nil {
		return s.flight, 0
	}
	pause := Pause
	if effort == Frugal {
		pause = FrugalPause
	}
	if wait := pause - time.Since(s.asked); wait > 0 {
		return nil, wait
	}
	s.asked = time.Now()
	return s.start(true), 0
}

// start begins a fetch; mu is held. It does not end with the call that caused it.
func (s *Source) start(asked bool) *flight {
	s.flight = &flight{asked, retry.Share(context.Background(), fetchTimeout, func(ctx context.Context) (changed bool, err error) {
		defer func() { s.landed(changed) }()
		changed, err = s.refresh(ctx)
		s.o.Report(changed, err)
		return changed, nil // the error is kept for calls that miss a key
	})}
	return s.flight
}

// landed notes that a fetch has ended, also by a panic.
func (s *Source) landed(changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight = nil
	if changed {
		s.asked = time.Time{} // an issuer that rotates is no storm
	}
}

// refresh fetches the keys. An error leaves those that are known.
func (s *Source) refresh(ctx context.Context) (bool, error) {
	data, err := s.fetch(ctx)
	changed := false
	if err == nil {
		changed, err = s.put(data)
	}
	if s.failed.Store(nil); err != nil {
		s.failed.Store(&err)
	}
	return changed, err
}

func (s *Source) put(data []byte) (bool, error) {
	next, _, err := Parse(data)
	if err != nil {
		return false, err
	}
	s.good.Store(s.o.Now().UnixNano())
	if s.set.Load().digest == next.digest {
		return false, nil
	}
	s.set.Store(next)
	return true, nil
}

// FromFile reports whether the keys are read from a file.
func (s *Source) FromFile() bool { return s.file != nil }

// Reload reads the file again if it has changed. It does nothing for keys that
// are fetched.
func (s *Source) Reload() (bool, error) {
	if s.file == nil {
		return false, nil
	}
	changed := false
	_, err := s.file.Poll(func(data []byte) (err error) {
		changed, err = s.put(data)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("key set: %w", err)
	}
	return changed, nil
}

// Refresh fetches the keys now, or waits for a fetch that is under way.
func (s *Source) Refresh(ctx context.Context) {
	if s.fetch == nil {
		return
	}
	s.mu.Lock()
	f := s.flight
	if f == nil {
		f = s.start(false)
	}
	s.mu.Unlock()
	_, _ = f.Wait(ctx) // the caller looks at the keys next
}

// Run keeps fetched keys fresh until ctx ends.
func (s *Source) Run(ctx context.Context) {
	for s.fetch != nil && ctx.Err() == nil {
		before := s.good.Load()
		s.Refresh(ctx)
		wait := s.o.CacheFor
		if s.good.Load() == before {
			wait = min(wait, again)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}
