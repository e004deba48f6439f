package document

import (
	"errors"
	"fmt"

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
}

// Reason is why a call is denied. Audience is "agent" or "admin".
type Reason struct {
	Code     string `json:"code"`
	Msg      string `json:"msg"`
	Audience string `json:"audience"`
	Rule     string `json:"rule"`
}

// Obligations are what the gateway must do to the result.
type Obligations struct {
	Transforms []Transform `json:"transforms"`
	Deliver    string      `json:"deliver"`
	WrapTTLS   int         `json:"wrap_ttl_s"`
	MaxTTLS    int         `json:"max_ttl_s"`
	Approval   *Approval   `json:"approval"`
}

// Transform is a transform of the result with its arguments.
type Transform struct {
	Name string         `json:"name"`
	Args map[string]any `json:"args"`
}

// Approval is reserved: the groups that would have to agree.
type Approval struct {
	Groups []string `json:"groups"`
}

// Decode reads an output. It refuses a missing field, an unknown one and any
// value of another type: a policy that answers in another form has not answered.
func Decode(v ast.Value) (out Output, err error) {
	o, err := fieldsOf(v, maxFields, maxFields)
	if err != nil {
		return out, fmt.Errorf("decision: %w", err)
	}
	return Output{
		V:              o.number("v"),
		Allow:          o.boolean("allow"),
		Reasons:        decodeReasons(o),
		RequiredScopes: o.strings("required_scopes"),
		PathPrefix:     o.text("path_prefix"),
		Tier:           o.text("tier"),
		Obligations:    decodeObligations(o),
	}, o.problem(Version)
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
		r := o.inner("reasons", t.Value, 4)
		out = append(out, Reason{r.text("code"), r.text("msg"), r.text("audience"), r.text("rule")})
		o.adopt("reasons", r)
	})
	return out
}

func decodeObligations(o *fields) Obligations {
	f := o.inner("obligations", o.get("obligations"), 5)
	out := Obligations{
		Transforms: decodeTransforms(f),
		Deliver:    f.text("deliver"),
		WrapTTLS:   f.number("wrap_ttl_s"),
		MaxTTLS:    f.number("max_ttl_s"),
		Approval:   decodeApproval(f),
	}
	o.adopt("obligations", f)
	return out
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
	r := f.inner("approval", v, 1)
	a := &Approval{Groups: r.strings("groups")}
	f.adopt("approval", r)
	return a
}
