package document

import "time"

// Input is what the policy is asked. Its names follow AuthZEN 1.0. No token and
// no secret value is ever in it.
type Input struct {
	V         int       `json:"v"`
	Request   Request   `json:"request"`
	Principal Principal `json:"principal"`
	Action    Action    `json:"action"`
	Resource  Resource  `json:"resource"`
	Args      Args      `json:"args"`
	Context   Context   `json:"context"`
}

// Request says how and why the policy is asked, and how the caller wants the answer.
type Request struct {
	ID        string `json:"id"`
	Transport string `json:"transport"`
	Phase     string `json:"phase"`
	Deliver   string `json:"deliver"`    // the form that the caller asks for, empty for none
	WrapTTLS  int    `json:"wrap_ttl_s"` // for which a wrapped answer is asked to wait, 0 when not said
	TTLS      int    `json:"ttl_s"`      // for which a lease or certificate is asked, 0 when not said
	Reason    string `json:"reason"`     // why, in the caller's own words; proves nothing
}

// Principal is the caller as it was authenticated.
type Principal struct {
	ID     string   `json:"id"`
	Kind   string   `json:"kind"`
	Tenant string   `json:"tenant"`
	Issuer string   `json:"issuer"`
	Prefix string   `json:"prefix"` // the caller's own part of the KV mount; of another than the default one, behind its path and a colon
	Tier   string   `json:"tier"`   // the caller's rate tier; before the policy is asked, the one that the credential was registered with
	Roles  []string `json:"roles"`
	Scopes []string `json:"scopes"`
	// Acting sends the call. It is the principal itself, or who acts for it, and then
	// OnBehalfOf is the principal. A second credential says on whose behalf a principal
	// calls that sends the call itself. Kind is human only when everybody in the chain is.
	Acting     Actor          `json:"acting"`
	Actors     []Actor        `json:"actors"` // who acts for the principal, the one that sends the call first
	OnBehalfOf *Represented   `json:"on_behalf_of"`
	Claims     map[string]any `json:"claims"` // that the operator passes on, JWT_CLAIMS_TO_POLICY
	Auth       Auth           `json:"auth"`
}

// Actor is one of those who act in a call (RFC 8693 section 4.1).
type Actor struct {
	ID   string `json:"id"`
	Kind string `json:"kind"`
}

// Auth is how the principal proved itself.
type Auth struct {
	Method   string `json:"method"`
	AgeS     *int   `json:"age_s"`     // seconds since the credential was issued, null when unknown
	CreatedS *int   `json:"created_s"` // when that was, in Unix seconds, null when unknown
	CertFP   string `json:"cert_fp"`
}

// Action is the operation, from the catalogue and never from the caller.
type Action struct {
	Op     string `json:"op"`
	Engine string `json:"engine"`
	Effect string `json:"effect"`
	Public bool   `json:"public"` // every authenticated caller may, without a scope

	Destructive bool `json:"destructive"` // what it removes cannot be brought back
}

// Resource is what the operation acts on. Ancestors are the path and every path
// above it, longest first. In another mount than the default one they are behind its path
// and a colon, as in the names of grants.
type Resource struct {
	Mount     string   `json:"mount"`
	Path      string   `json:"path"`
	Ancestors []string `json:"ancestors"`
	Version   int      `json:"version"`

	Relative         *string  `json:"relative"`          // the path below the caller's own prefix, null when it is not below it
	Segments         []string `json:"segments"`          // of the path
	RelativeSegments []string `json:"relative_segments"` // of the relative path
	Matches          []Match  `json:"matches"`           // grants with wildcards or templates that are for the resource
	Metadata         *Never   `json:"metadata"`          // reserved: always null
}

// Match is a grant whose name has a wildcard or a template and is for the resource. The
// gateway finds them in the data, so that a policy need not run through patterns.
type Match struct {
	Table  string `json:"table"`  // subjects or roles
	Holder string `json:"holder"` // the subject or role that has the grant
	Key    string `json:"key"`    // the name of the grant, as the data have it
	Prefix string `json:"prefix"` // what the call is confined to by it
}

// Never is the type of what is reserved.
type Never struct{}

// Args are the arguments. Values are there only for a policy that reads them, and
// without secrets.
type Args struct {
	Keys   []string       `json:"keys"`
	Bytes  int            `json:"bytes"`
	Values map[string]any `json:"values"`

	Fields map[string]int `json:"fields"` // names of the fields that are written, and their sizes in bytes
	Items  int            `json:"items"`  // how many items a batch has, 0 for what is none
}

// Context is what the call does not say itself.
type Context struct {
	Time     Time           `json:"time"`
	SourceIP string         `json:"source_ip"`
	Client   Client         `json:"client"`
	Session  map[string]any `json:"session"` // reserved: always empty
}

// Client is the program that calls, as it names itself; it proves nothing.
type Client struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Session string `json:"session"` // MCP session, empty for none
}

// Time is when the call came in. It is the only clock that a policy has.
type Time struct {
	UnixS   int64  `json:"unix_s"`
	Weekday string `json:"weekday"` // "monday"
	HourUTC int    `json:"hour_utc"`

	MinuteUTC int    `json:"minute_utc"`
	Date      string `json:"date"` // "2026-11-27", in UTC
	Local     Local  `json:"local"`
}

// Local is the same time in the zone that the policy's data name.
type Local struct {
	Zone    string `json:"zone"` // "Europe/Berlin", "UTC" when the data name none
	Date    string `json:"date"`
	Weekday string `json:"weekday"`
	Hour    int    `json:"hour"`
	Minute  int    `json:"minute"`
}

// At is the Time of t, whose local time is that of UTC.
func At(t time.Time) Time {
	out := clock(t)
	out.Date, out.Local = t.UTC().Format(time.DateOnly), local(t, nil)
	return out
}

// clock is the part of At that costs nothing.
func clock(t time.Time) Time {
	u := t.UTC()
	return Time{UnixS: u.Unix(), Weekday: weekday(u.Weekday()), HourUTC: u.Hour(), MinuteUTC: u.Minute()}
}

func local(t time.Time, zone *time.Location) Local {
	if zone == nil {
		zone = time.UTC
	}
	l := t.In(zone)
	return Local{Zone: zone.String(), Date: l.Format(time.DateOnly), Weekday: weekday(l.Weekday()), Hour: l.Hour(), Minute: l.Minute()}
}

func weekday(d time.Weekday) string {
	return [...]string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}[d]
}
