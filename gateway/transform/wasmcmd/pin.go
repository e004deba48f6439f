package wasmcmd

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"portcullis/gateway/files"
	"portcullis/gateway/transform"
)

// Pin writes the digests of the module files into a manifest and leaves all else
// as it is. It says what changed.
func Pin(w io.Writer, manifest string) error {
	draft, err := transform.ReadDraft(manifest)
	if err != nil {
		return oneLine(err)
	}
	text, err := files.Read(manifest)
	if err != nil {
		return err
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return oneLine(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	for i, e := range draft.Modules {
		if err := pin(lines, &root, i, e.SHA256); err != nil {
			return fmt.Errorf("module %s: %w", e.Name, err)
		}
		fmt.Fprintf(w, "%s  %s\n", e.SHA256, e.Name)
	}
	return files.Replace(manifest, []byte(strings.Join(lines, "")))
}

// pin changes the line with the digest of a module.
func pin(lines []string, root *yaml.Node, i int, digest string) error {
	node := scalar(member(root, "modules"), i, "sha256")
	if node == nil {
		return errors.New(`add a line sha256: "" first`)
	}
	line, at := &lines[node.Line-1], node.Column-1
	old := *line
	end := at + len(node.Value)
	if node.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		end += 2
	}
	if end > len(old) {
		return errors.New("sha256 must be on one line")
	}
	*line = old[:at] + digest + old[end:]
	return nil
}

// member finds the value of a key in the mapping at the root.
func member(root *yaml.Node, key string) *yaml.Node {
	if len(root.Content) == 0 {
		return nil
	}
	return valueOf(root.Content[0], key)
}

func valueOf(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

func scalar(list *yaml.Node, i int, key string) *yaml.Node {
	if list == nil || i >= len(list.Content) {
		return nil
	}
	return valueOf(list.Content[i], key)
}
