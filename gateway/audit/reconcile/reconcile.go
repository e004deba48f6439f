// Package reconcile compares the gateway's evidence with Vault's own audit log. They
// are joined on the X-Correlation-Id that the gateway sends with every request, and
// that Vault records in clear (Vault API, sys/config/auditing).
package reconcile

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"portcullis/gateway/audit/inspect"
)

// Config says what is compared.
type Config struct {
	Files        []string // evidence, oldest first
	VaultAudit   []string // Vault's audit log, oldest first; those that end in .gz are decompressed
	Everybody    bool     // requests of other identities than the gateway's count as well
	Since, Until time.Time
	Progress     func(lines int, bytes int64)   // optional
	Skipped      func(file string, line, n int) // is told of a file's lines that are no records: the first, and how many there are. Optional
}

// Difference is one thing that the two sides do not agree about.
type Difference struct {
	Time          time.Time `json:"time"`
	CorrelationID string    `json:"correlation_id,omitempty"`
	Seq           uint64    `json:"seq,omitempty"` // of the gateway's first line about it
	Who           string    `json:"who,omitempty"` // the caller, or the name of the token at Vault
	Op            string    `json:"op,omitempty"`  // the gateway's, or Vault's
	Path          string    `json:"path"`
	Request       string    `json:"vault_request_id,omitempty"`
	Address       string    `json:"remote_address,omitempty"`
	Why           string    `json:"why"`
}

// Report is what was found.
type Report struct {
	Records  int `json:"records"`        // of evidence that are about Vault
	Requests int `json:"vault_requests"` // in Vault's log, of the identities that are compared
	Matched  int `json:"matched"`        // calls and upkeep that agree
	Open     int `json:"open"`           // calls whose outcome is not on record: whatever Vault has is right

	UnknownToUs    []Difference `json:"unknown_to_us"`
	UnknownToVault []Difference `json:"unknown_to_vault"`
	OutcomeDiffers []Difference `json:"outcome_differs"`
	Unreadable     []Difference `json:"unreadable"` // lines of Vault's log, each at FILE:LINE
}

// Differ tells whether there is any difference.
func (r *Report) Differ() bool {
	return len(r.UnknownToUs)+len(r.UnknownToVault)+len(r.OutcomeDiffers)+len(r.Unreadable) > 0
}

// sides are the two logs, joined.
type sides struct {
	Report
	ours map[string]*ours
	own  map[string]bool // tokens, accessors and entities of the gateway and of what it made
}

func (c *Config) inTime(t time.Time) bool {
	return (c.Since.IsZero() || !t.Before(c.Since)) && (c.Until.IsZero() || !t.After(c.Until))
}

// Run compares.
func Run(c Config) (Report, error) {
	s := &sides{ours: map[string]*ours{}, own: map[string]bool{}}
	s.UnknownToUs, s.UnknownToVault, s.OutcomeDiffers, s.Unreadable = []Difference{}, []Difference{}, []Difference{}, []Difference{}
	err := inspect.Files{Names: c.Files, Since: c.Since, Until: c.Until, Progress: c.Progress, Skipped: c.Skipped}.Each(func(r *inspect.Record, _ []byte) error {
		if c.inTime(r.Time) {
			s.record(r)
		}
		return nil
	})
	if err == nil && s.Records == 0 && !c.Everybody {
		return s.Report, inspect.Usagef("no record of the time is about Vault, so nothing says which of its requests are the gateway's: give the gateway's evidence, and see whether it was emptied; --all compares the requests of everybody")
	}
	if err == nil && !c.Everybody {
		err = s.learn(&c)
	}
	if err == nil {
		err = c.requests(func(e *entry) { s.compare(e, c.Everybody) }, func(d Difference) { s.Unreadable = append(s.Unreadable, d) })
	}
	for id, o := range s.ours {
		s.judge(id, o)
	}
	for _, list := range [][]Difference{s.UnknownToUs, s.UnknownToVault, s.OutcomeDiffers} {
		slices.SortFunc(list, func(a, b Difference) int {
			return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.CorrelationID, b.CorrelationID))
		})
	}
	return s.Report, err
}

// learn finds out which identities at Vault are the gateway's: those that sent what the
// gateway has on record, and every token that one of them has made, or that has the same
// entity.
func (s *sides) learn(c *Config) error {
	type making struct{ by, made []string }
	var all []making
	err := c.requests(func(e *entry) {
		if s.ours[e.id()] != nil {
			s.add(e.names())
			s.add(e.made().names())
		}
		if made := e.made(); made != nil {
			all = append(all, making{append(e.names(), made.Entity), made.names()})
		}
	}, func(Difference) {}) // reported when the requests are compared
	for grew := true; grew; {
		grew = false
		for _, m := range all {
			if s.owns(m.by) && s.add(m.made) {
				grew = true
			}
		}
	}
	return err
}

// add adds names, and tells whether one is new.
func (s *sides) add(names []string) (grew bool) {
	for _, n := range names {
		if n != "" && !s.own[n] {
			s.own[n], grew = true, true
		}
	}
	return grew
}

func (s *sides) owns(names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return n != "" && s.own[n] })
}

// maxOpen is how long after the intent of a call that has no outcome on record its requests
// may reach Vault: a call ends long before, and the clocks of two machines may differ.
// Later, somebody else has used its id.
const maxOpen = 15 * time.Minute

// compare counts a request for its call, or finds that nobody knows it.
func (s *sides) compare(e *entry, everybody bool) {
	id := e.id()
	if o := s.ours[id]; o != nil {
		s.Requests++
		o.see(e)
		if o.kind == aCall && !o.counted && e.Time.Sub(o.time) > maxOpen {
			s.UnknownToUs = append(s.UnknownToUs, e.difference(fmt.Sprintf("the call with this correlation id began %s before and has no outcome on record", e.Time.Sub(o.time).Round(time.Second))))
		}
		if o.counted && o.seen > o.requests && o.kind != aRefusal {
			s.UnknownToUs = append(s.UnknownToUs, e.difference(fmt.Sprintf("the gateway has sent %d requests with this correlation id, and this is number %d", o.requests, o.seen)))
		}
		return
	}
	if !everybody && !s.owns(append(e.names(), e.made().names()...)) {
		return
	}
	s.Requests++
	why := "no line of evidence has this correlation id"
	if id == "" {
		why = "the request has no correlation id, so the gateway did not send it"
	}
	s.UnknownToUs = append(s.UnknownToUs, e.difference(why))
}

func (e *entry) difference(why string) Difference {
	return Difference{
		Time: e.Time, CorrelationID: e.id(), Who: e.name(), Op: e.Request.Operation, Path: e.Request.Path,
		Request: e.Request.ID, Address: e.Request.Remote, Why: why,
	}
}

// judge compares what is on record about one id with what Vault has.
func (s *sides) judge(id string, o *ours) {
	d := Difference{Time: o.time, CorrelationID: id, Seq: o.seq, Who: o.who, Op: o.op, Path: o.path}
	if o.mount != "" {
		d.Path = o.mount + "/" + o.path
	}
	switch {
	case o.strayed != "":
		d.Why = "Vault has the id for another path: " + inspect.Shown(o.strayed)
		s.OutcomeDiffers = append(s.OutcomeDiffers, d)
	case o.kind == aRefusal && o.seen > 0:
		d.Why = fmt.Sprintf("the call was refused (%q), and Vault has %d requests of it", o.code, o.seen)
		s.OutcomeDiffers = append(s.OutcomeDiffers, d)
	case o.kind == aRefusal:
		s.Matched++
	case !o.counted:
		s.Open++
	case o.seen < o.requests-o.lost:
		d.Why = fmt.Sprintf("the gateway had %d answers, and Vault has %d requests", o.requests-o.lost, o.seen)
		s.UnknownToVault = append(s.UnknownToVault, d)
	case o.seen > o.requests: // listed one by one
	case o.lost == 0 && o.failed != o.errors:
		d.Why = fmt.Sprintf("the outcome is %q with %d errors of Vault's, and Vault has answered %d with an error", o.code, o.errors, o.failed)
		s.OutcomeDiffers = append(s.OutcomeDiffers, d)
	default:
		s.Matched++
	}
}

// maxShown bounds the differences of one class that are written for people.
const maxShown = 100

// Write writes the report, as a text for people or as JSON.
func (r *Report) Write(out io.Writer, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		return e.Encode(r)
	}
	for _, class := range []struct {
		title string
		list  []Difference
	}{
		{"Vault saw what the gateway has not on record", r.UnknownToUs},
		{"on record, and Vault never saw it", r.UnknownToVault},
		{"both saw it, and what came of it differs", r.OutcomeDiffers},
		{"lines of Vault's log that cannot be read", r.Unreadable},
	} {
		if _, err := fmt.Fprintf(out, "%s: %d\n", class.title, len(class.list)); err != nil {
			return err
		}
		for i, d := range class.list {
			if i == maxShown {
				fmt.Fprintf(out, "  and %d more (--json has all)\n", len(class.list)-i)
				break
			}
			fmt.Fprintf(out, "  %s %s %s %s id %s: %s\n", d.Time.UTC().Format("2006-01-02 15:04:05.000Z"),
				inspect.Shown(d.Who), inspect.Shown(d.Op), inspect.Shown(d.Path), inspect.Shown(d.CorrelationID), d.Why)
		}
	}
	_, err := fmt.Fprintf(out, "%d records of evidence, %d requests to Vault: %d agree, %d have no outcome on record\n", r.Records, r.Requests, r.Matched, r.Open)
	return err
}
