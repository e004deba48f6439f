package bundle

import (
	"fmt"
	"math"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// maxValues bounds how many values a document stands for: aliases can repeat what is
// small until nothing has room for it.
const maxValues = 1 << 22

// maxDepth bounds how deep they lie in each other: an alias can stand for what it is in.
const maxDepth = 1000

// values turns a document into the values that JSON has. It looks up keys to find
// duplicates, where the decoder of the library compares each with all others, which takes
// minutes for a table of a hundred thousand.
type values struct {
	name string
	left int
	deep int
}

// table is a document that must be an object; an empty one is an empty object.
func table(doc *yaml.Node, name string) (map[string]any, error) {
	if len(doc.Content) == 0 || doc.Content[0].ShortTag() == "!!null" {
		return map[string]any{}, nil
	}
	v := &values{name: name, left: maxValues}
	if k := doc.Content[0].Kind; k != yaml.MappingNode {
		return nil, v.fault(doc.Content[0], "the document is no object", "write one YAML or JSON document that is an object, every key once")
	}
	return v.object(doc.Content[0])
}

func (v *values) fault(n *yaml.Node, msg, cure string) *Fault {
	return &Fault{v.name, max(n.Line, 1), msg, cure}
}

func (v *values) value(n *yaml.Node) (any, error) {
	if v.left--; v.left < 0 {
		return nil, v.fault(n, fmt.Sprintf("the document stands for more than %d values", maxValues), "write fewer, and repeat less by aliases")
	}
	if v.deep++; v.deep > maxDepth {
		return nil, v.fault(n, fmt.Sprintf("values lie in each other more than %d deep, or an alias in what it stands for", maxDepth), "write what it stands for in its place")
	}
	defer func() { v.deep-- }()
	switch n.Kind {
	case yaml.AliasNode:
		return v.value(n.Alias)
	case yaml.MappingNode:
		return v.object(n)
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			var err error
			if list[i], err = v.value(item); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	return v.scalar(n)
}

func (v *values) object(n *yaml.Node) (map[string]any, error) {
	out := make(map[string]any, len(n.Content)/2)
	var merged map[string]any // what a merge key has added, which may be given as well
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch {
		case key.ShortTag() == "!!merge":
			if merged == nil {
				merged = map[string]any{}
			}
			if err := v.merge(merged, n.Content[i+1]); err != nil {
				return nil, err
			}
			continue
		case key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str":
			return nil, v.fault(key, fmt.Sprintf("the key %s is no text", key.Value), "write what JSON can hold: keys that are texts, in quotes where need be")
		}
		if _, given := out[key.Value]; given {
			return nil, v.fault(key, fmt.Sprintf("mapping key %q already defined", key.Value), "write every key once")
		}
		one, err := v.value(n.Content[i+1])
		if err != nil {
			return nil, err
		}
		out[key.Value] = one
	}
	for k, x := range merged {
		if _, given := out[k]; !given {
			out[k] = x
		}
	}
	return out, nil
}

// merge adds what a merge key names, which never takes the place of what is there.
func (v *values) merge(out map[string]any, n *yaml.Node) error {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	list := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		list = n.Content
	}
	for _, one := range list {
		more, err := v.value(one)
		if err != nil {
			return err
		}
		m, ok := more.(map[string]any)
		if !ok {
			return v.fault(one, "a merge key names what is no object", "merge objects alone")
		}
		for k, x := range m {
			if _, there := out[k]; !there {
				out[k] = x
			}
		}
	}
	return nil
}

// leadingZero is a number that YAML 1.1 reads in base 8 and a person in base 10.
var leadingZero = regexp.MustCompile(`^[+-]?0[0-9_]+$`)

func (v *values) scalar(n *yaml.Node) (any, error) {
	switch n.ShortTag() {
	case "!!str":
		return n.Value, nil
	case "!!int":
		if leadingZero.MatchString(n.Value) {
			return nil, v.fault(n, n.Value+" begins with a zero, so it is read in base 8", "write the number without it, or in quotes if it is a text")
		}
		fallthrough
	case "!!float":
		var f float64
		if err := n.Decode(&f); err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, v.fault(n, n.Value+" is no number that JSON has", "write a finite number")
		}
		return f, nil
	case "!!bool":
		var b bool
		err := n.Decode(&b)
		return b, err
	case "!!null":
		return nil, nil
	}
	var s string // a time, or bytes
	if err := n.Decode(&s); err != nil {
		return nil, v.fault(n, n.Value+" is nothing that JSON has", "write it in quotes")
	}
	return s, nil
}
