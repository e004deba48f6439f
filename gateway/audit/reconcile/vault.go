package reconcile

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/audit"
)

// entry is what is read of a line of Vault's audit log (Vault docs, audit devices).
// Tokens and accessors are HMACs there, with one key for the whole log.
type entry struct {
	Type    string    `json:"type"` // request or response
	Time    time.Time `json:"time"`
	Error   string    `json:"error"`
	Auth    *identity `json:"auth"`
	Request struct {
		ID        string              `json:"id"`
		Operation string              `json:"operation"`
		Path      string              `json:"path"`
		Token     string              `json:"client_token"`
		Accessor  string              `json:"client_token_accessor"`
		Headers   map[string][]string `json:"headers"`
		Remote    string              `json:"remote_address"`
	} `json:"request"`
	Response struct {
		Auth *identity      `json:"auth"`
		Data jsontext.Value `json:"data"`
	} `json:"response"`
}

// identity is whose a token is.
type identity struct {
	Token    string `json:"client_token"`
	Accessor string `json:"accessor"`
	Entity   string `json:"entity_id"`
	Name     string `json:"display_name"`
}

// names are what the sender of a request is known by.
func (e *entry) names() []string { return append(e.Auth.names(), e.Request.Token, e.Request.Accessor) }

func (i *identity) names() []string {
	if i == nil {
		return nil
	}
	return []string{i.Token, i.Accessor, i.Entity}
}

// made is the identity that a login or the making of a token has answered with.
func (e *entry) made() *identity {
	if e.Type != "response" {
		return nil
	}
	return e.Response.Auth
}

// id is the X-Correlation-Id.
func (e *entry) id() string {
	if ids := e.Request.Headers["x-correlation-id"]; len(ids) > 0 {
		return ids[0]
	}
	return ""
}

// failed tells whether Vault has answered with an error other than 404: it says so
// itself, or it is the only thing in the data.
func (e *entry) failed() bool {
	if e.Error != "" {
		return !strings.Contains(e.Error, "unsupported path") // what Vault answers with 404
	}
	var data map[string]jsontext.Value
	if e.Type != "response" || json.Unmarshal(e.Response.Data, &data) != nil {
		return false
	}
	_, is := data["error"]
	return is && len(data) == 1
}

// name is who sent the request, for people.
func (e *entry) name() string {
	for _, i := range []*identity{e.Auth, e.Response.Auth} {
		if i != nil && i.Name != "" {
			return i.Name
		}
	}
	return ""
}

// requests reads Vault's audit files and passes every request on once, with its
// response where there is one.
func (c *Config) requests(each func(e *entry), unread func(Difference)) error {
	waiting := map[string]*entry{}
	for _, name := range c.VaultAudit {
		if err := c.readVault(name, unread, func(e *entry) {
			switch e.Type {
			case "request":
				waiting[e.Request.ID] = e
			case "response":
				if asked := waiting[e.Request.ID]; asked != nil {
					delete(waiting, e.Request.ID)
					if e.Error == "" {
						e.Error = asked.Error
					}
				}
				each(e)
			}
		}); err != nil {
			return err
		}
	}
	for _, e := range waiting { // Vault ended before the answer, or has none on record
		each(e)
	}
	return nil
}

// maxVaultLine is how much of a line of Vault's audit log is read. Whoever sends a request
// decides how long its line is: each member of the body, and each parameter of the URL,
// becomes an HMAC of 76 bytes.
const maxVaultLine = 128 << 20

// readVault passes on the lines of a file. One that says nothing is reported, because a
// request may be hidden in it: only the end of a file can be half a line.
func (c *Config) readVault(name string, unread func(Difference), each func(e *entry)) error {
	f, err := audit.OpenSegment(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	s := audit.NewScanner(f)
	s.Keep(maxVaultLine)
	lines, size := 0, int64(0)
	for s.Scan() {
		lines++
		if size += s.Size() + 1; c.Progress != nil && lines%1024 == 0 {
			c.Progress(lines, size)
		}
		e := &entry{}
		switch err := json.Unmarshal(s.Bytes(), e, jsontext.AllowInvalidUTF8(true)); {
		case err != nil && s.Ended() && s.Size() > 0:
			unread(Difference{Path: fmt.Sprintf("%s:%d", name, lines), Why: "the line cannot be read, so nobody knows which request it is about: " + cause(err, s)})
		case err == nil && e.Request.ID != "" && c.inTime(e.Time): // without an id it is about the device
			each(e)
		}
	}
	if s.Err() != nil {
		return fmt.Errorf("%s cannot be read to its end: %w", name, s.Err())
	}
	return nil
}

// cause is what is wrong with a line, without a part of it.
func cause(err error, s *audit.Scanner) string {
	if s.Size() > maxVaultLine {
		return fmt.Sprintf("it has %d bytes", s.Size())
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Sprintf("no JSON at byte %d", e.ByteOffset)
	}
	return "it is not as Vault writes them"
}

// ownPath tells whether a path at Vault is where a call of an operation may lead: below
// its mount, or what the gateway does about its result.
func ownPath(op, mount, path, at string) bool {
	at = strings.TrimSuffix(at, "/")
	if strings.HasPrefix(at, "sys/leases/") || at == "sys/wrapping/wrap" || at == "sys/wrapping/rewrap" || strings.Contains(at, "/.leases/") {
		return true
	}
	below, ok := strings.CutPrefix(at, mount+"/")
	if !ok || !strings.HasPrefix(op, "kv.") {
		return ok
	}
	_, name, _ := strings.Cut(below, "/") // behind data, metadata, delete, ...
	return name == path || below == path  // KV version 1 has nothing there
}
