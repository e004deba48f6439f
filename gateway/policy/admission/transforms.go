package admission

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"

	"portcullis/gateway/policy/bundle"
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
	a.duties(object(team.Data, "obligations"), true, "obligations")
	a.table(object(team.Data, "grants"), "grants")
	tenants := object(team.Data, "tenants")
	for _, t := range slices.Sorted(maps.Keys(tenants)) {
		a.table(object(tenants, t), "tenants", t)
	}
	return append(lint.Transforms(p), a.found...)
}

// asking collects the transforms of the data.
type asking struct {
	team  *bundle.Bundle
	root  *yaml.Node // of the data file, once it is needed
	found []lint.Transform
}

func (a *asking) table(table map[string]any, at ...string) {
	for _, kind := range []string{"subjects", "roles"} {
		for who := range object(table, kind) {
			for engine := range object(table, kind, who) {
				if grants := object(table, kind, who, engine); asksForAny(grants) {
					a.duties(grants, false, append(slices.Clone(at), kind, who, engine)...)
				}
			}
		}
	}
}

// asksForAny reports whether any of the grants asks for transforms, which few do.
func asksForAny(grants map[string]any) bool {
	for _, v := range grants {
		if terms, ok := v.(map[string]any); ok && terms["transforms"] != nil {
			return true
		}
	}
	return false
}

// duties collects from a table of grants or obligations. The obligations of the data
// are by operation.
func (a *asking) duties(table map[string]any, byOp bool, at ...string) {
	for _, key := range slices.Sorted(maps.Keys(table)) {
		list, _ := object(table, key)["transforms"].([]any)
		for i, v := range list {
			t, _ := v.(map[string]any)
			found := lint.Transform{File: a.team.Title(a.team.DataFile.Name), Args: object(t, "args")}
			if byOp {
				found.Op = key
			}
			if found.Args == nil {
				found.Args = map[string]any{}
			}
			found.Name, _ = t["name"].(string)
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
