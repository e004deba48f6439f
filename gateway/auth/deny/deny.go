// Package deny is the list of what has been revoked: a subject, an API key or
// signing key by its id, a token by its id, a certificate by its serial. A list
// that cannot be read never loses an entry that was known.
package deny

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"portcullis/gateway/auth/rule"
	"portcullis/gateway/call"
	"portcullis/gateway/files"
)

// Fresh is how old the knowledge of the file may be. Looking at a file costs as
// much as the rest of a cached authentication, so calls share a look. Append
// returns later than this, so what it wrote holds for every call made after it.
const Fresh = 2 * time.Millisecond

// List is the deny list. It is safe for concurrent use.
type List struct {
	file *files.File  // nil when there is none
	look atomic.Int64 // when the file is to be looked at again, in unix nanoseconds

	mu    sync.Mutex // guards the lists below
	firm  []Entry    // revoked for all replicas
	lines []Entry    // of the file, in force
	good  []Entry    // of the file when it last had no mistake; nil before

	set atomic.Pointer[set]
}

// set is one state of the list, never changed.
type set struct {
	entries map[name]time.Time // zero time for no end
}

// name is what an entry denies.
type name struct{ kind, tenant, value string }

// Open reads the list. A file that does not exist yet is an empty list; an empty
// path is a list that only Add fills.
func Open(path string) (*List, error) {
	l := &List{}
	l.set.Store(&set{})
	if path == "" {
		return l, nil
	}
	l.file = files.New(path)
	if _, err := l.Reload(); err != nil {
		return nil, err
	}
	return l, nil
}

// Reload reads the file again if it has changed and reports whether it had. A bad
// line is an error; the other lines count, and the lines known before it stay in
// force, because a list that lost an entry would let somebody in.
func (l *List) Reload() (bool, error) {
	if l.file == nil {
		return false, nil
	}
	changed := false
	_, err := l.file.Poll(func(data []byte) error {
		entries, err := parse(data)
		l.mu.Lock()
		defer l.mu.Unlock()
		if err == nil {
			l.good = entries
		} else {
			entries = append(entries, l.good...)
		}
		l.lines, changed = entries, true
		l.rebuild()
		return err
	})
	if errors.Is(err, fs.ErrNotExist) && l.untouched() {
		return false, nil
	}
	return changed, err
}

// untouched reports whether the file has never been there.
func (l *List) untouched() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines == nil
}

// Due reports that the file has to be looked at, at most once per Fresh: a
// caller that gets true calls Reload.
func (l *List) Due(now time.Time) bool {
	if l.file == nil {
		return false
	}
	due := l.look.Load()
	return now.UnixNano() >= due && l.look.CompareAndSwap(due, now.Add(Fresh).UnixNano())
}

// Replace puts what is revoked for all replicas in the place of what was before. A bad line
// is an error, and then what was before stays as well.
func (l *List) Replace(lines []byte) error {
	entries, err := parse(lines)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		entries = append(entries, l.firm...)
	}
	l.firm = entries
	l.rebuild()
	return err
}

// rebuild makes the set anew; mu is held.
func (l *List) rebuild() {
	s := &set{map[name]time.Time{}}
	for _, e := range slices.Concat(l.firm, l.lines) {
		for _, n := range e.names() {
			if old, ok := s.entries[n]; ok && (old.IsZero() || !e.Until.IsZero() && old.After(e.Until)) {
				continue // the longer denial wins
			}
			s.entries[n] = e.Until
		}
	}
	l.set.Store(s)
}

// Check reports with rule.Denied that a caller, or anybody it acts through, has
// been revoked.
func (l *List) Check(c *call.Caller, now time.Time) error {
	s := l.set.Load()
	if len(s.entries) == 0 {
		return nil
	}
	if s.subject(c.Tenant, c.Subject, now) {
		return fmt.Errorf("%w: subject", rule.Denied)
	}
	for a := c.OnBehalfOf; a != nil; a = a.Next {
		if s.subject(c.Tenant, a.Subject, now) {
			return fmt.Errorf("%w: actor", rule.Denied)
		}
	}
	switch {
	case s.has(name{kind: "key", value: c.KeyID}, now):
		return fmt.Errorf("%w: key", rule.Denied)
	case s.has(name{kind: "token", value: c.TokenID}, now):
		return fmt.Errorf("%w: token", rule.Denied)
	case s.has(name{kind: "serial", value: Serial(c.CertSerial)}, now):
		return fmt.Errorf("%w: certificate", rule.Denied)
	}
	return nil
}

func (s *set) subject(tenant, subject string, now time.Time) bool {
	return s.has(name{"subject", "", subject}, now) ||
		tenant != "" && s.has(name{"subject", tenant, subject}, now)
}

func (s *set) has(n name, now time.Time) bool {
	if n.value == "" {
		return false
	}
	until, ok := s.entries[n]
	return ok && (until.IsZero() || now.Before(until))
}

// Serial brings a certificate's serial into one form: lower case hex without
// colons and leading zeros.
func Serial(s string) string {
	if strings.ContainsRune(s, ':') {
		s = strings.ReplaceAll(s, ":", "")
	}
	return strings.TrimLeft(strings.ToLower(s), "0")
}
