package inspect

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Filter says which records are asked for. An empty field asks for all.
type Filter struct {
	Since, Until time.Time
	Who          string // subject, tenant/subject, or the person who is acted for
	Op           string // kv.read, or kv.* for all of an engine
	Path         string // full path; with * at its end, everything below
	Request      string
	Decision     string
	Code         string
	Session      string // as a record has it, hashed
	Type         string
}

// Types are the types of records.
func Types() []string {
	return []string{"intent", "outcome", "refusal", "refusals", "upkeep", "segment", "torn", "gap", "truncated", "resumed"}
}

// Check refuses what no record can match, and takes names as people write them: operations
// as MCP lists them, codes in capitals.
func (f *Filter) Check() error {
	if f.Type != "" && !slices.Contains(Types(), f.Type) {
		return Usagef("--type %s: no record has this type; there are %s", f.Type, strings.Join(Types(), ", "))
	}
	if !f.Since.IsZero() && !f.Until.IsZero() && f.Until.Before(f.Since) {
		return Usagef("--until lies before --since, so no record can match")
	}
	if !strings.Contains(f.Op, ".") {
		f.Op = strings.Replace(f.Op, "_", ".", 1)
	}
	f.Code = strings.ToLower(f.Code)
	return nil
}

// Match tells whether a record is asked for.
func (f *Filter) Match(r *Record) bool {
	switch {
	case !f.Since.IsZero() && r.Time.Before(f.Since), !f.Until.IsZero() && r.Time.After(f.Until):
		return false
	case f.Who != "" && !f.who(r), f.Op != "" && !f.op(r), f.Path != "" && !like(cleanPath(f.Path), r.FullPath()):
		return false
	case f.Request != "" && r.RequestID != f.Request && !strings.HasPrefix(r.RequestID, f.Request+"."): // parts of a batch
		return false
	case f.Decision != "" && r.DecisionID != f.Decision && r.CorrelationID != f.Decision:
		return false
	case f.Session != "" && r.Session != f.Session, f.Type != "" && r.Type != f.Type:
		return false
	}
	return f.Code == "" || r.Code == f.Code || r.Codes[f.Code] > 0
}

func (f *Filter) who(r *Record) bool {
	return slices.Contains([]string{r.Who(), r.Subject, r.Behalf(), r.OnBehalfOf}, f.Who) || like(f.Who, r.Who())
}

func (f *Filter) op(r *Record) bool {
	if like(f.Op, r.Op) {
		return true
	}
	for name := range r.Ops {
		if like(f.Op, name) {
			return true
		}
	}
	return false
}

// like compares with a text that may end in a star, which stands for any end.
func like(want, got string) bool {
	if start, all := strings.CutSuffix(want, "*"); all {
		return strings.HasPrefix(got, start)
	}
	return got == want
}

// Query writes the records that are asked for: a row of a table each, or the lines as
// they are. It returns how many there were.
func Query(out io.Writer, f Files, want Filter, asJSON bool) (found int, err error) {
	f.Since, f.Until = want.Since, want.Until
	t := &table{out: out}
	err = f.Each(func(r *Record, line []byte) error {
		if !want.Match(r) {
			return nil
		}
		found++
		if asJSON {
			_, err := out.Write(append(slices.Clip(line), '\n'))
			return err
		}
		return t.row(r)
	})
	return found, errors.Join(err, t.flush())
}

// table writes rows in columns, a screenful at a time, so that a long answer begins at
// once and nothing is kept of it.
type table struct {
	out  io.Writer
	w    *tabwriter.Writer
	rows int
}

func (t *table) row(r *Record) error {
	if t.w == nil {
		t.w = tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t.w, "TIME\tSEQ\tTYPE\tWHO\tOP\tPATH\tCODE\tDELIVERED\tDECISION\tREQUEST\tVIA")
	}
	what := Shown(r.Op)
	if r.Type == "upkeep" {
		what = Shown(r.Method)
	}
	if r.Count > 0 {
		what = fmt.Sprintf("%d times", r.Count)
	}
	path := r.FullPath()
	if r.Version > 0 {
		path = fmt.Sprintf("%s@%d", path, r.Version)
	}
	fmt.Fprintf(t.w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Time.UTC().Format("2006-01-02 15:04:05.000Z"), r.Seq, Shown(r.Type), parties(r.Who(), r.Behalf()),
		what, Shown(path), Shown(r.Code), Shown(r.delivered()), Shown(r.DecisionID+r.upkeepID()), Shown(r.RequestID), r.via())
	if t.rows++; t.rows%200 == 0 {
		return t.w.Flush()
	}
	return nil
}

func (t *table) flush() error {
	if t.w == nil {
		return nil
	}
	return t.w.Flush()
}

func (r *Record) upkeepID() string {
	if r.Type == "upkeep" {
		return r.CorrelationID
	}
	return ""
}

// delivered is how the result of a call left, empty where none did.
func (r *Record) delivered() string {
	if r.Type == "outcome" && r.Code == "ok" {
		return r.form()
	}
	return ""
}

// via is how the call came: the transport, and the program where it has named itself.
func (r *Record) via() string {
	via := Shown(r.Transport)
	for _, s := range []string{r.ClientName, r.ClientVersion} {
		if s != "" {
			via += " " + Shown(s)
		}
	}
	return via
}
