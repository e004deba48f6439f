package document

import (
	"errors"
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Output is what the policy answers.
type Output struct {
	V              int         `json:"v"`
	Allow          bool        `json:"allow"`
	Reasons        []Reason    `json:"reasons"`
	RequiredScopes []string    `json:"required_scopes"`
	PathPrefix     string      `json:"path_prefix"`
	Tier           string      `json:"tier"`
	Obligations    Obligations `json:"obligations"`
	DryRun         []string    `json:"dry_run,omitempty"` // rules in dry run that would have refused the call

	// Behalf is the answer about whom a second credential names, see Meet; nil for none.
	Behalf *Output `json:"-"`
}

// Reason is why a call is denied. Audience is "agent" or "admin".
type Reason struct {
	Code     string `json:"code"`
	Msg      string `json:"msg"`
	Audience string `json:"audience"`
	Rule     string `json:"rule"`
}

// Obligations are what the gateway must do to the result. The last four are there only
// when something asks for them.
type Obligations struct {
	Transforms  []Transform `json:"transforms"`
	Deliver     string      `json:"deliver"`
	WrapTTLS    int         `json:"wrap_ttl_s"`
	MaxTTLS     int         `json:"max_ttl_s"`
	Approval    *Approval   `json:"approval"`
	Masked      bool        `json:"masked,omitempty"`         // what is wrapped is masked
	Fields      []string    `json:"fields,omitzero"`          // the only fields of a secret that are shown, nil for all
	MinTTLS     int         `json:"min_ttl_s,omitempty"`      // seconds that a lease must be asked for
	MinWrapTTLS int         `json:"min_wrap_ttl_s,omitempty"` // seconds that a wrapped result must be asked for
}

// Fields of an obligation in the answer: those that are always there, and all.
const (
	fewestObligations = 5
	mostObligations   = 9
)

// Transform is a transform of the result with its arguments.
type Transform struct {
	Name string         `json:"name"`
	Args map[string]any `json:"args"`
}

// Approval is reserved: the groups that would have to agree.
type Approval struct {
	Groups []string `json:"groups"`
}

// Contradiction is what keeps an allowance from being one, whatever the call: then the call
// is denied.
func (o Output) Contradiction() error {
	d := o.Obligations
	switch {
	case !o.Allow:
		return nil
	case len(o.Reasons) > 0:
		return errors.New("allowed, and yet with reasons against it")
	case d.MaxTTLS > 0 && d.MinTTLS > d.MaxTTLS:
		return fmt.Errorf("duties ask for a lease of at least %d s (min_ttl_s) and of at most %d (max_ttl_s)", d.MinTTLS, d.MaxTTLS)
	case d.WrapTTLS > 0 && d.MinWrapTTLS > d.WrapTTLS:
		return fmt.Errorf("duties ask for wrapping of at least %d s (min_wrap_ttl_s) and of at most %d (wrap_ttl_s)", d.MinWrapTTLS, d.WrapTTLS)
	case d.Approval != nil:
		return errors.New("an approval is asked for, and approvals do not exist yet")
	case !slices.Contains([]string{"plain", "masked", "wrapped"}, d.Deliver):
		return fmt.Errorf("unknown delivery %q", d.Deliver)
	}
	return nil
}

// Decode reads an output. It refuses a missing field, an unknown one and any
// value of another type: a policy that answers in another form has not answered.
func Decode(v ast.Value) (out Output, err error) {
	o, err := fieldsOf(v, fewestFields, mostFields)
	if err != nil {
		return out, fmt.Errorf("decision: %w", err)
	}
	if o.n == mostFields {
		out.DryRun = o.strings("dry_run")
	}
	return Output{
		DryRun:         out.DryRun,
		V:              o.number("v"),
		Allow:          o.boolean("allow"),
		Reasons:        decodeReasons(o),
		RequiredScopes: o.strings("required_scopes"),
		PathPrefix:     o.text("path_prefix"),
		Tier:           o.text("tier"),
		Obligations:    decodeObligations(o),
	}, o.problem(OutputVersion)
}

// problem is what was wrong with any field.
func (f *fields) problem(version int) error {
	if f.err == nil && f.number("v") != version {
		return fmt.Errorf("decision: not of version %d", version)
	}
	return f.err
}

func decodeReasons(o *fields) []Reason {
	list := o.array("reasons")
	if list == nil || list.Len() == 0 {
		return nil
	}
	out := make([]Reason, 0, list.Len())
	list.Foreach(func(t *ast.Term) {
		r := o.inner("reasons", t.Value, 4, 4)
		out = append(out, Reason{r.text("code"), r.text("msg"), r.text("audience"), r.text("rule")})
		o.adopt("reasons", r)
	})
	return out
}

func decodeObligations(o *fields) Obligations {
	f := o.inner("obligations", o.get("obligations"), fewestObligations, mostObligations)
	out := Obligations{
		Transforms: decodeTransforms(f),
		Deliver:    f.text("deliver"),
		WrapTTLS:   f.number("wrap_ttl_s"),
		MaxTTLS:    f.number("max_ttl_s"),
		Approval:   decodeApproval(f),
	}
	if f.n > fewestObligations {
		f.extras(&out)
	}
	o.adopt("obligations", f)
	return out
}

// extras reads what is there only when something asks for it.
func (f *fields) extras(out *Obligations) {
	known := fewestObligations
	for name, read := range map[string]func(){
		"masked":         func() { out.Masked = f.boolean("masked") },
		"fields":         func() { out.Fields = append([]string{}, f.strings("fields")...) },
		"min_ttl_s":      func() { out.MinTTLS = f.number("min_ttl_s") },
		"min_wrap_ttl_s": func() { out.MinWrapTTLS = f.number("min_wrap_ttl_s") },
	} {
		if f.find(name) != nil {
			read()
			known++
		}
	}
	if known != f.n {
		f.fail("obligations", errors.New("has a field that the gateway does not know"))
	}
}

func decodeTransforms(f *fields) []Transform {
	list := f.array("transforms")
	if list == nil || list.Len() == 0 {
		return nil
	}
	out := make([]Transform, 0, list.Len())
	list.Foreach(func(t *ast.Term) {
		out = append(out, decodeTransform(f, t.Value))
	})
	return out
}

// decodeTransform reads one; args may be left out.
func decodeTransform(f *fields, v ast.Value) Transform {
	r, err := fieldsOf(v, 1, 2)
	if err != nil {
		f.fail("transforms", err)
		return Transform{}
	}
	tr := Transform{Name: r.text("name")}
	want := 1
	if args := r.find("args"); args != nil {
		want = 2
		v, err := ast.JSON(args)
		m, ok := v.(map[string]any)
		if err != nil || !ok {
			r.fail("args", errors.New("not an object"))
		}
		tr.Args = m
	}
	if r.n != want || tr.Name == "" {
		r.fail("name", errors.New("a transform has a name, perhaps args, and nothing else"))
	}
	f.adopt("transforms", r)
	return tr
}

func decodeApproval(f *fields) *Approval {
	v := f.get("approval")
	if _, null := v.(ast.Null); null || v == nil {
		return nil
	}
	r := f.inner("approval", v, 1, 1)
	a := &Approval{Groups: r.strings("groups")}
	f.adopt("approval", r)
	return a
}
