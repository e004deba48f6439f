package vault

import (
	"context"
	"encoding/json"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/wire"
)

// Documents is where the gateway keeps documents of its own for all replicas: below a path
// of a KV version 2 mount. The zero Documents is nowhere. No grant opens a session on it.
type Documents struct {
	Mount string
	Path  call.Path
}

func (d Documents) holds(r call.Resource) bool {
	return d.Mount != "" && r.Mount == d.Mount && (r.Path.Within(d.Path) || d.Path.Within(r.Path) && !r.Listing)
}

func (d Documents) at(name string) string { return d.Mount + "/data/" + d.Path.String() + "/" + name }

// ReadDocument returns a document and its version, 0 for one that is not there.
func (c *Client) ReadDocument(ctx context.Context, name string) (data []byte, version int, err error) {
	var reply documentReply
	err = c.asGateway(ctx, wire.Request{Method: wire.Get, Path: c.documents.at(name)}, wire.WantData(&reply))
	if call.Is(err, call.NotFound) {
		return nil, reply.Metadata.Version, nil
	}
	return []byte(reply.Data.Document), reply.Metadata.Version, err
}

// WriteDocument writes a document behind the version that was read, and returns the new
// one. Its error is CASMismatch when somebody else has written meanwhile.
func (c *Client) WriteDocument(ctx context.Context, name string, data []byte, version int) (int, error) {
	raw, err := json.Marshal(map[string]any{"data": document{string(data)}, "options": map[string]int{"cas": version}})
	if err != nil {
		return 0, err
	}
	var reply anchorVersion
	err = c.asGateway(ctx, wire.Request{Method: wire.Put, Path: c.documents.at(name), Body: raw}, wire.WantData(&reply))
	return reply.Version, err
}

type document struct {
	Document string `json:"document"`
}

type documentReply struct {
	Data     document      `json:"data"`
	Metadata anchorVersion `json:"metadata"`
}

// Complete implements Reply.
func (r *documentReply) Complete() bool { return r.Metadata.Complete() }
