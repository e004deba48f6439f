package policycmd

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/reach"
)

// writeTightened writes the bundle to a directory that does not exist or is empty,
// with the proposals applied to its data. Comments stay.
func writeTightened(team *bundle.Bundle, proposals []reach.Proposal, dir string) error {
	if team == nil {
		return errors.New("the embedded policy has no grants: there is nothing to tighten")
	}
	if err := emptyDir(dir); err != nil {
		return err
	}
	for _, f := range append(append([]bundle.File{}, team.Rules...), team.Tests...) {
		if err := writeFile(dir, f.Name, f.Text); err != nil {
			return err
		}
	}
	if team.DataFile.Name == "" {
		return nil
	}
	text, err := edited(team.DataFile.Text, proposals)
	if err != nil {
		return err
	}
	return writeFile(dir, "data.yaml", text)
}

// emptyDir makes a directory, which must not hold anything yet.
func emptyDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	there, err := os.ReadDir(dir)
	if err == nil && len(there) > 0 {
		err = fmt.Errorf("%s is not empty; name a new directory", dir)
	}
	return err
}

func writeFile(dir, name string, text []byte) error {
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

// edited applies the proposals to the text of the data. Data that share parts by
// anchors are written without them first, so that a change of one grant is none of
// another.
func edited(text []byte, proposals []reach.Proposal) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	if hasAlias(&doc) {
		var plain any
		if err := doc.Decode(&plain); err != nil {
			return nil, err
		}
		raw, err := yaml.Marshal(plain)
		if err != nil {
			return nil, err
		}
		doc = yaml.Node{}
		if err := yaml.Unmarshal(raw, &doc); err != nil {
			return nil, err
		}
	}
	for _, p := range proposals {
		if err := apply(doc.Content[0], p); err != nil {
			return nil, err
		}
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func hasAlias(n *yaml.Node) bool {
	if n.Kind == yaml.AliasNode {
		return true
	}
	for _, c := range n.Content {
		if hasAlias(c) {
			return true
		}
	}
	return false
}

// apply changes one grant in the document.
func apply(root *yaml.Node, p reach.Proposal) error {
	g := p.Grant
	names := root
	for _, key := range g.Place() {
		names = valueOf(names, key)
	}
	grant := valueOf(names, g.Name)
	if grant == nil {
		return fmt.Errorf("%s does not stand in the data by that name", p.At)
	}
	if p.Remove {
		removeKey(names, g.Name)
		return nil
	}
	ops := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
	for _, o := range p.Ops {
		ops.Content = append(ops.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: o})
	}
	removeKey(grant, "ops")
	grant.Content = append([]*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!str", Value: "ops"}, ops}, grant.Content...)
	return nil
}

// valueOf is what a mapping holds under a key; nil for nothing.
func valueOf(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func removeKey(n *yaml.Node, key string) {
	for i := 0; n != nil && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			n.Content = append(n.Content[:i:i], n.Content[i+2:]...)
			return
		}
	}
}
