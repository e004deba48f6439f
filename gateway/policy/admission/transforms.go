package admission

import (
	"bytes"
	"cmp"
	"fmt"
	"iter"
	"slices"

	"go.yaml.in/yaml/v3"

	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/data"
	"portcullis/gateway/policy/lint"
	"portcullis/gateway/policy/program"
)

// Asked are the transforms that a policy asks for in so many words, in its rules and
// in its data.
func Asked(p *program.Program, team *bundle.Bundle) []lint.Transform {
	if team == nil {
		return nil
	}
	a := &asking{team: team}
	d := data.Of(team.Data)
	a.duties(d.Obligations(), true, "obligations")
	for t := range d.Tables() {
		a.table(t)
	}
	return append(lint.Transforms(p), a.found...)
}

// asking collects the transforms of the data.
type asking struct {
	team  *bundle.Bundle
	root  *yaml.Node // of the data file, once it is needed
	found []lint.Transform
}

func (a *asking) table(table data.Table) {
	for _, kind := range data.Kinds() {
		for who, holder := range table.Holders(kind) {
			for engine := range holder.Engines() {
				a.duties(holder.Granted(engine), false, append(table.Place(), kind, who, engine)...)
			}
		}
	}
}

// duties collects from a table of grants or obligations. The obligations of the data
// are by operation.
func (a *asking) duties(table iter.Seq2[string, data.Terms], byOp bool, at ...string) {
	for key, terms := range table {
		for i, t := range terms.Transforms() {
			found := lint.Transform{File: a.team.Title(a.team.DataFile.Name), Name: t.Name, Args: t.Args}
			if byOp {
				found.Op = key
			}
			found.Line = a.line(i, append(slices.Clone(at), key, "transforms")...)
			a.found = append(a.found, found)
		}
	}
}

// line is where an element of a list of the data stands.
func (a *asking) line(i int, path ...string) int {
	if a.root == nil {
		a.root = &yaml.Node{}
		_ = yaml.NewDecoder(bytes.NewReader(a.team.DataFile.Text)).Decode(a.root) // it has been decoded before
	}
	n := a.root
	if len(n.Content) > 0 && n.Kind == yaml.DocumentNode {
		n = n.Content[0]
	}
	for _, key := range path {
		if n = entry(n, key); n == nil {
			return 1
		}
	}
	if n.Kind == yaml.SequenceNode && i < len(n.Content) {
		n = n.Content[i]
	}
	return max(n.Line, 1)
}

func entry(n *yaml.Node, key string) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// transforms holds what is asked for against what there is. Without the manifest of the
// operator a name that is not there may be one of its modules.
func (o Options) transforms(p *program.Program, team *bundle.Bundle) (found program.Findings) {
	if o.Transform == nil {
		return nil
	}
	for _, t := range Asked(p, team) {
		err := o.Transform(t.Op, t.Name, t.Args)
		if err == nil {
			continue
		}
		f := program.Finding{
			File: t.File, Line: t.Line, Check: "transform", Msg: fmt.Sprintf("transform %q: %v; every call that it is asked of is refused", t.Name, err),
			Cure: "name one of the manifest, with the arguments that it takes there",
		}
		if !o.Manifest {
			f.Warning = true
			f.Msg = fmt.Sprintf("transform %q: %v, as far as the gateway's own ones go; without it every call that it is asked of is refused", t.Name, err)
			f.Cure = "give --wasm-manifest FILE (WASM_MANIFEST), if it is a module's"
		}
		found = append(found, f)
	}
	slices.SortStableFunc(found, func(a, b program.Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return found
}
