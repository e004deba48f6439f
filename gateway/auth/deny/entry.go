package deny

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"portcullis/gateway/auth/principal"
	"portcullis/gateway/call"
	"portcullis/gateway/files"
	"portcullis/gateway/retry"
)

// Entry is one line of a deny list, a JSON object. What it names is denied; when
// it names several things, each of them is.
type Entry struct {
	Subject string    `json:"subject,omitempty"`     // everybody of this name, of one tenant when Tenant is given
	Tenant  string    `json:"tenant,omitempty"`      // narrows Subject
	KeyID   string    `json:"key_id,omitempty"`      // an API key's id or a signing key's kid
	TokenID string    `json:"token_id,omitempty"`    // a token's jti
	Serial  string    `json:"cert_serial,omitempty"` // a certificate's serial in hex
	Until   time.Time `json:"until,omitzero"`        // when the entry ends; absent for never
	Reason  string    `json:"reason,omitempty"`      // for people
	At      time.Time `json:"at,omitzero"`           // when it was written
}

func (e Entry) names() []name {
	var all []name
	for _, subject := range readings(e.Subject) {
		for _, tenant := range readings(e.Tenant) {
			all = append(all, name{"subject", tenant, subject})
		}
	}
	all = append(all, []name{
		{kind: "key", value: e.KeyID},
		{kind: "token", value: e.TokenID},
		{kind: "serial", value: Serial(e.Serial)},
	}...)
	var out []name
	for _, n := range all {
		if n.value != "" {
			out = append(out, n)
		}
	}
	return out
}

func (e Entry) check() error {
	if len(e.names()) == 0 {
		return errors.New("names no subject, key_id, token_id or cert_serial")
	}
	return nil
}

// readings are the callers that a name can mean. One with a "~" may be in the form that
// callers have or in the issuer's, and each of them is denied.
func readings(name string) []string {
	if strings.Contains(name, "~") {
		return []string{name, principal.Segment(name)}
	}
	return []string{name}
}

// Mapped gives subject and tenant the form that callers have: an entry may name them
// as the issuer does.
func (e Entry) Mapped() Entry {
	for _, s := range []*string{&e.Subject, &e.Tenant} {
		if _, err := call.ParseSubject(*s); err != nil && *s != "" {
			*s = principal.Segment(*s)
		}
	}
	return e
}

// parse reads the lines. The entries of good lines are returned beside an error
// about bad ones.
func parse(data []byte) ([]Entry, error) {
	entries := []Entry{}
	var errs []error
	n := 0
	for line := range bytes.Lines(data) {
		n++
		if line = bytes.TrimSpace(line); len(line) == 0 || line[0] == '#' {
			continue
		}
		var e Entry
		err := json.Unmarshal(line, &e, json.RejectUnknownMembers(true))
		if err == nil {
			err = e.check()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", n, err))
			continue
		}
		entries = append(entries, e.Mapped())
	}
	return entries, errors.Join(errs...)
}

// Append writes an entry to the end of a list, makes it durable and returns when
// a gateway that watches the file must know of it.
func Append(path string, e Entry) error {
	if err := e.check(); err != nil {
		return err
	}
	line, err := json.Marshal(e.Mapped())
	if err != nil {
		return err
	}
	f, err := list(path)
	if err != nil {
		return err
	}
	// A line of its own, even behind a line that somebody left without an end.
	_, err = f.Write(append(append([]byte("\n"), line...), '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	retry.Sleep(context.Background(), 5*Fresh) // not cut short: the entry is written, and its caller must know from when on it holds
	return nil
}

// list opens a list to append to it. A new one is for the gateway to read as well, whoever
// runs it.
func list(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	}
	if err != nil {
		return nil, err
	}
	if err := files.Share(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Revoke appends an entry to a list and says so on out.
func Revoke(out io.Writer, path string, e Entry) error {
	if path == "" {
		return errors.New("no deny list is configured: set DENY_LIST_FILE")
	}
	if e.At.IsZero() {
		e.At = time.Now().UTC().Truncate(time.Second)
	}
	if err := Append(path, e); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "revoked in %s; gateways that watch it refuse from the next call on and close open streams\n", path)
	return err
}

// maxLines bounds a list that With makes.
const maxLines = 10_000

// With returns lines with an entry more, without those that have ended. An entry that names
// the same takes the place of the one before.
func With(lines []byte, e Entry, now time.Time) ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	old, err := parse(lines)
	if err != nil {
		return nil, err
	}
	if e.At.IsZero() {
		e.At = now.UTC().Truncate(time.Second)
	}
	e = e.Mapped()
	kept := slices.DeleteFunc(old, func(o Entry) bool {
		return !o.Until.IsZero() && !now.Before(o.Until) || slices.Equal(o.names(), e.names())
	})
	if len(kept) >= maxLines {
		return nil, fmt.Errorf("%d revocations are kept already: give them an end (--for)", len(kept))
	}
	return encode(append(kept, e))
}

// Without returns lines without the entries of a subject, and how many those were.
func Without(lines []byte, subject, tenant string) (rest []byte, n int, err error) {
	old, err := parse(lines)
	if err != nil {
		return nil, 0, err
	}
	gone := Entry{Subject: subject, Tenant: tenant}.Mapped()
	kept := slices.DeleteFunc(slices.Clone(old), func(o Entry) bool { return o.Subject == gone.Subject && o.Tenant == gone.Tenant })
	rest, err = encode(kept)
	return rest, len(old) - len(kept), err
}

func encode(entries []Entry) ([]byte, error) {
	var out []byte
	for _, e := range entries {
		line, err := json.Marshal(e)
		if err != nil {
			return nil, err
		}
		out = append(append(out, line...), '\n')
	}
	return out, nil
}
