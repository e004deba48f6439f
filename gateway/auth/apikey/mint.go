package apikey

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"portcullis/gateway/auth/principal"
	"portcullis/gateway/call"
	"portcullis/gateway/files"
)

// Mark begins every key that is made here, so that scanners recognise a lost one.
const Mark = "pck_"

// Mint makes a key for an entry, adds the entry to a keys file and prints the key
// alone to out, once, so that `> key.txt` holds nothing else. What people want to
// know goes to notes; with an empty file that is the entry as well, for somebody else
// to add. An empty id becomes the subject; absent scopes become all four; the time is
// noted as the key's creation.
func Mint(out, notes io.Writer, file string, e Entry) error {
	secret, hash, err := newSecret()
	if err != nil {
		return err
	}
	e.Hash = hash
	if e.ID == "" {
		e.ID = e.Subject
	}
	if e.Scopes == nil {
		e.Scopes = principal.AllScopes()
	}
	if e.Created.IsZero() {
		e.Created = time.Now().UTC().Truncate(time.Second)
	}
	if _, err := e.key(call.Path{}); err != nil {
		return err
	}
	note := fmt.Sprintf("%s has its hash.\n", file)
	if file == "" {
		note, err = asFile(e)
	} else {
		err = add(file, e)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, secret)
	_, noteErr := fmt.Fprintf(notes, "This is the key of %s (id %s). It is shown once and kept nowhere; %s", e.Subject, e.ID, note)
	return errors.Join(err, noteErr)
}

func newSecret() (secret, hash string, err error) {
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		return "", "", fmt.Errorf("read random bytes: %w", err)
	}
	secret = Mark + base64.RawURLEncoding.EncodeToString(b)
	sum := sha256.Sum256([]byte(secret))
	return secret, "sha256:" + hex.EncodeToString(sum[:]), nil
}

// asFile is an entry as it has to stand in a keys file, with a word in front.
func asFile(e Entry) (string, error) {
	text, err := yaml.Marshal(File{Keys: []Entry{e}})
	return fmt.Sprintf("API_KEYS_FILE needs:\n\n%s", text), err
}

// add appends an entry to a file. The file's comments stay; it is replaced as a
// whole, so a gateway never reads half of it.
func add(file string, e Entry) error {
	old, err := files.Read(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	keys, err := parseFile(old, call.Path{})
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for _, k := range keys {
		if k.id == e.ID {
			return fmt.Errorf("%s: there is a key with the id %s", file, e.ID)
		}
	}
	text, err := withEntry(old, e)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return files.Replace(file, text)
}

// withEntry returns the document with one more entry in its list.
func withEntry(old []byte, e Entry) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(old, &doc); err != nil {
		return nil, err
	}
	list := keysNode(&doc)
	if list == nil {
		fresh, err := yaml.Marshal(File{Keys: []Entry{e}})
		return slices.Concat(old, []byte("\n"), fresh), err
	}
	var node yaml.Node
	if err := node.Encode(e); err != nil {
		return nil, err
	}
	if len(list.Content) == 0 {
		list.Style = 0 // "[]" becomes a list of lines
	}
	list.Content = append(list.Content, &node)
	return yaml.Marshal(&doc)
}

func keysNode(doc *yaml.Node) *yaml.Node {
	if len(doc.Content) != 1 || len(doc.Content[0].Content) != 2 {
		return nil
	}
	if list := doc.Content[0].Content[1]; list.Kind == yaml.SequenceNode {
		return list
	}
	return nil
}
