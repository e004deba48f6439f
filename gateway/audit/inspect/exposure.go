package inspect

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Exposed is who received what lies at a path. Receivers are listed once for each form.
type Exposed struct {
	Path    string     `json:"path"`
	Version int        `json:"version,omitempty"` // that was asked about, 0 for all
	Newest  int        `json:"newest_version,omitempty"`
	Plain   []Receiver `json:"plain"`
	Masked  []Receiver `json:"masked"`
	Wrapped []Receiver `json:"wrapped"`
	Unknown []Receiver `json:"unknown"` // calls that were allowed and have no outcome on record
	Written []Receiver `json:"written"` // who brought the value, and so has it
	Leases  []Lease    `json:"leases"`  // credentials that have not ended
	Rotate  []string   `json:"rotate"`  // what is left to do
	Records int        `json:"records"` // that name the path
}

// Receiver is one caller, for itself or on behalf of one person, and what it received of
// the path.
type Receiver struct {
	Who        string    `json:"who"`
	Subject    string    `json:"subject"`
	Tenant     string    `json:"tenant,omitempty"`
	OnBehalfOf string    `json:"on_behalf_of,omitempty"`
	Clients    []string  `json:"clients,omitempty"`
	Sessions   []string  `json:"sessions,omitempty"` // hashed
	SourceIPs  []string  `json:"source_ips,omitempty"`
	Fields     []string  `json:"fields,omitempty"` // the only ones that were shown, none for all
	Versions   []int     `json:"versions,omitempty"`
	Count      int       `json:"count"`
	First      time.Time `json:"first"`
	Last       time.Time `json:"last"`
	Decisions  []string  `json:"decisions"` // the newest ones
}

// Lease is a credential that was issued at the path.
type Lease struct {
	Who           string    `json:"who"`
	OnBehalfOf    string    `json:"on_behalf_of,omitempty"`
	SHA256        string    `json:"lease_id_sha256,omitempty"`
	Suffix        string    `json:"lease_id_suffix,omitempty"`
	User          string    `json:"user,omitempty"`
	Serial        string    `json:"serial,omitempty"`
	SerialDecimal string    `json:"serial_decimal,omitempty"`
	Expires       time.Time `json:"expires"`
	Decision      string    `json:"decision_id"`
}

// pair is a caller, and on whose behalf it called.
type pair struct{ who, behalf string }

func (p pair) compare(o pair) int {
	return cmp.Or(strings.Compare(p.who, o.who), strings.Compare(p.behalf, o.behalf))
}

// maxListed bounds what is listed of one receiver: decisions, addresses, sessions.
const maxListed = 20

// exposure follows one path through the evidence.
type exposure struct {
	Exposed
	named string // a secret whose name ends like the version that is asked about
	now   time.Time
	forms map[string]map[pair]*Receiver // by form
	open  map[string]opened             // intents without an outcome
	first time.Time                     // when a record named the version that is asked about first
	live  map[string]Lease              // by hash, or by serial
}

// opened is an intent without an outcome.
type opened struct {
	*Record
	newest int // version on record when it was written, 0 for none
}

// Exposure finds who received what lies at a full path, with @VERSION for one version of
// a KV secret. That no record names the path is an error, since a path that is spelled in
// another way looks like a secret that nobody has received.
func Exposure(f Files, path string, now time.Time) (Exposed, error) {
	x := &exposure{now: now, forms: map[string]map[pair]*Receiver{}, open: map[string]opened{}, live: map[string]Lease{}}
	if x.named = cleanPath(path); x.named == "" {
		return x.Exposed, Usagef("give a full path, such as secret/mcp/bot/app")
	}
	x.Path, x.Version = versioned(x.named)
	err := f.Each(func(r *Record, _ []byte) error {
		switch at := r.FullPath(); {
		case at == x.Path, at == x.named:
			x.Records++
			x.record(r)
		case r.Type == "outcome" && r.Code == "ok":
			x.goesOn(r)
		}
		return nil
	})
	for _, o := range x.open {
		if x.may(o) {
			x.receive("unknown", o.Record)
		}
	}
	x.finish()
	if err == nil && x.Records == 0 {
		return x.Exposed, Usagef("no record names %q: give the full path as records have it, mount first and without data/, such as secret/mcp/bot/app, and with @3 for version 3; portcullis audit query FILE... --path 'secret/*' lists paths", x.named)
	}
	return x.Exposed, err
}

// versioned cuts @VERSION off a path. A name may have an @ in it itself: what lies at
// such a name is reported as well, so that nobody can hide a secret behind another one.
func versioned(path string) (string, int) {
	i := strings.LastIndexByte(path, '@')
	if i < 0 {
		return path, 0
	}
	v, err := strconv.Atoi(path[i+1:])
	if err != nil || v <= 0 {
		return path, 0
	}
	return path[:i], v
}

// shows tells whether a call hands out what lies at a path: the value of a secret or a
// credential, not its names, versions or structure.
func shows(r *Record) bool {
	switch r.Op {
	case "kv.read", "db.static_creds", "totp.code", "transit.datakey":
		return true
	}
	return r.Effect == "issue"
}

func writes(op string) bool { return op == "kv.write" || op == "kv.patch" }

func (x *exposure) record(r *Record) {
	if r.Type == "intent" && (shows(r) || writes(r.Op)) {
		x.open[r.DecisionID] = opened{r, x.Newest}
		return
	}
	if r.Type != "outcome" {
		return
	}
	delete(x.open, r.DecisionID)
	if r.Code != "ok" {
		return
	}
	if r.FullPath() == x.Path {
		x.Newest = max(x.Newest, r.Version)
		if r.Version == x.Version && x.first.IsZero() {
			x.first = r.Time
		}
	}
	switch {
	case !x.asked(r):
	case writes(r.Op):
		x.receive("written", r)
	case shows(r):
		x.receive(r.form(), r)
	}
	x.lease(r)
}

// asked tells whether a record is about the version that is asked about. One that does
// not say which it was may be: it was the newest at its time.
func (x *exposure) asked(r *Record) bool {
	return x.Version == 0 || r.FullPath() != x.Path || r.Version == x.Version || r.Version == 0 && (x.Newest == 0 || x.Newest == x.Version)
}

// may tells whether what came of an intent may be the version that is asked about: it named
// that, or it was the newest while the call can have run. A write makes a later one.
func (x *exposure) may(o opened) bool {
	var args struct {
		Version int `json:"version"`
	}
	_ = json.Unmarshal(o.Args, &args) // other arguments name none
	switch {
	case x.Version == 0, o.FullPath() != x.Path, o.newest == 0 && args.Version == 0:
		return true
	case args.Version > 0:
		return args.Version == x.Version
	case writes(o.Op) && x.Version > o.newest && (x.first.IsZero() || x.Version == o.newest+1):
		return true
	}
	meanwhile := x.Version > o.newest && !x.first.IsZero() && x.first.Before(o.Time.Add(locateAfter))
	return x.Version == o.newest || meanwhile
}

func (x *exposure) receive(form string, r *Record) {
	if x.forms[form] == nil {
		x.forms[form] = map[pair]*Receiver{}
	}
	who := pair{r.Who(), r.Behalf()}
	to := x.forms[form][who]
	if to == nil {
		to = &Receiver{Who: who.who, OnBehalfOf: who.behalf, Subject: r.Subject, Tenant: r.Tenant, First: r.Time, Fields: r.Fields}
		x.forms[form][who] = to
	}
	to.add(r)
}

func (to *Receiver) add(r *Record) {
	to.Count++
	to.Last = r.Time
	to.Decisions = append(to.Decisions, r.DecisionID)
	to.Decisions = to.Decisions[max(0, len(to.Decisions)-maxListed):]
	if r.Version > 0 && !slices.Contains(to.Versions, r.Version) {
		to.Versions = append(to.Versions, r.Version)
	}
	if to.Fields != nil {
		to.Fields = union(to.Fields, r.Fields)
	}
	client := strings.TrimSpace(r.ClientName + " " + r.ClientVersion)
	for list, s := range map[*[]string]string{
		&to.Clients: client, &to.Sessions: r.Session, &to.SourceIPs: r.SourceIP,
	} {
		if s != "" && !slices.Contains(*list, s) && len(*list) < maxListed {
			*list = append(*list, s)
		}
	}
}

// union is the fields that were shown in all; nil, which is all fields, with nil.
func union(a, b []string) []string {
	if b == nil {
		return nil
	}
	for _, f := range b {
		if !slices.Contains(a, f) {
			a = append(a, f)
		}
	}
	return a
}

// lease notes a credential that was issued at the path.
func (x *exposure) lease(r *Record) {
	id := r.Lease + r.Serial
	if id == "" || x.goesOn(r) {
		return
	}
	x.live[id] = Lease{
		Who: r.Who(), OnBehalfOf: r.Behalf(), SHA256: r.Lease, Suffix: r.LeaseSuffix, User: r.User, Serial: r.Serial, SerialDecimal: r.SerialDecimal,
		Expires: r.Expires, Decision: r.DecisionID,
	}
}

// goesOn notes what became of such a credential, wherever that is on record. It tells
// whether the record is about that.
func (x *exposure) goesOn(r *Record) bool {
	_, verb, _ := strings.Cut(r.Op, ".")
	id := r.Lease + r.Serial
	l, known := x.live[id]
	switch {
	case verb != "renew" && verb != "revoke":
		return false
	case known && verb == "revoke":
		delete(x.live, id)
	case known:
		l.Expires = r.Expires
		x.live[id] = l
	}
	return true
}

func (x *exposure) finish() {
	for form, to := range map[string]*[]Receiver{
		"plain": &x.Plain, "masked": &x.Masked, "wrapped": &x.Wrapped, "unknown": &x.Unknown, "written": &x.Written,
	} {
		*to = []Receiver{}
		for _, who := range slices.SortedFunc(maps.Keys(x.forms[form]), pair.compare) {
			*to = append(*to, *x.forms[form][who])
		}
	}
	x.Leases = []Lease{}
	for _, l := range x.live {
		if l.Expires.IsZero() || l.Expires.After(x.now) {
			x.Leases = append(x.Leases, l)
		}
	}
	slices.SortFunc(x.Leases, func(a, b Lease) int { return strings.Compare(a.Decision, b.Decision) })
	x.Rotate = x.left()
}

// left says what is to be done before nobody can use any more what was received.
func (x *exposure) left() []string {
	todo := []string{}
	seen := len(x.Plain)+len(x.Wrapped)+len(x.Unknown) > 0
	switch {
	case seen && x.Newest > 0 && (x.Version == 0 || x.Version == x.Newest):
		todo = append(todo, fmt.Sprintf("version %d of %s is the newest on record: change the secret where it is used, and write a new version", x.Newest, Shown(x.Path)))
	case seen && x.Newest > 0:
		todo = append(todo, fmt.Sprintf("version %d of %s was followed by version %d: make sure that what it opens has been changed, and destroy the version", x.Version, Shown(x.Path), x.Newest))
	}
	for _, l := range x.Leases {
		name := "the lease …" + Shown(l.Suffix)
		if l.Serial != "" {
			name = "the certificate with serial " + Shown(l.SerialDecimal)
		}
		if l.User != "" {
			name += " of user " + Shown(l.User)
		}
		todo = append(todo, fmt.Sprintf("%s, issued to %s, lives until %s: revoke it", name, parties(l.Who, l.OnBehalfOf), l.Expires.UTC().Format(time.RFC3339)))
	}
	return todo
}

// Write writes what was found, as a text for people or as JSON.
func (x Exposed) Write(out io.Writer, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		return e.Encode(x)
	}
	var b strings.Builder
	for _, part := range []struct {
		title string
		list  []Receiver
	}{
		{"in the clear", x.Plain},
		{"masked", x.Masked},
		{"wrapped (whoever opened it has it in the clear)", x.Wrapped},
		{"written by", x.Written},
		{"allowed, and what came of it is not on record", x.Unknown},
	} {
		fmt.Fprintf(&b, "%s: %d\n", part.title, len(part.list))
		for _, r := range part.list {
			fmt.Fprintf(&b, "  %s\n", r)
		}
	}
	fmt.Fprintf(&b, "credentials that have not ended: %d\n", len(x.Leases))
	for _, l := range x.Leases {
		fmt.Fprintf(&b, "  %s  …%s  %s  until %s\n", parties(l.Who, l.OnBehalfOf), Shown(l.Suffix), Shown(l.User+l.SerialDecimal), l.Expires.UTC().Format(time.RFC3339))
	}
	for _, todo := range x.Rotate {
		fmt.Fprintf(&b, "to do: %s\n", todo)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// String is the receiver in one line.
func (r Receiver) String() string {
	s := fmt.Sprintf("%s  %d times  %s to %s", parties(r.Who, r.OnBehalfOf), r.Count, r.First.UTC().Format(time.RFC3339), r.Last.UTC().Format(time.RFC3339))
	if len(r.Versions) > 0 {
		s += fmt.Sprintf("  versions %v", r.Versions)
	}
	for title, list := range map[string][]string{"with": r.Clients, "from": r.SourceIPs, "only": r.Fields} {
		if len(list) > 0 {
			s += fmt.Sprintf("  %s %s", title, shownAll(list))
		}
	}
	return s
}
