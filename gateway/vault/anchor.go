package vault

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/wire"
)

// Anchor is where checkpoints of the evidence are kept in Vault: a secret of a KV version
// 2 mount. The zero Anchor is nowhere. No grant opens a session on it.
type Anchor struct {
	Mount string
	Path  call.Path
}

func (a Anchor) holds(r call.Resource) bool {
	return a.Mount != "" && r.Mount == a.Mount && (r.Path.Within(a.Path) || a.Path.Within(r.Path) && !r.Listing)
}

// Anchored is a checkpoint as Vault keeps it.
type Anchored struct {
	Checkpoint string `json:"checkpoint"` // a signed note
	SHA256     string `json:"sha256"`     // of the note, in hex
}

// anchorPrefix begins the X-Correlation-Id of a request that writes an anchor; the SHA-256
// of the checkpoint in hex follows. Vault records it in clear, so Vault's own audit log
// holds the digest, whatever becomes of the secret.
const anchorPrefix = "anchor-"

// ReadAnchor returns the newest checkpoint that Vault keeps, and the version of the
// secret, 0 for none.
func (c *Client) ReadAnchor(ctx context.Context) (Anchored, int, error) {
	var reply anchorReply
	err := c.asGateway(ctx, wire.Request{Method: wire.Get, Path: c.anchorPath()}, wire.WantData(&reply))
	if call.Is(err, call.NotFound) {
		return Anchored{}, reply.Metadata.Version, nil
	}
	return reply.Data, reply.Metadata.Version, err
}

// WriteAnchor writes a checkpoint behind the version that was read, and returns the new
// one. Its error is CASMismatch when somebody else has written meanwhile.
func (c *Client) WriteAnchor(ctx context.Context, checkpoint []byte, version int) (int, error) {
	sum := sha256.Sum256(checkpoint)
	a := Anchored{Checkpoint: string(checkpoint), SHA256: hex.EncodeToString(sum[:])}
	raw, err := json.Marshal(map[string]any{"data": a, "options": map[string]int{"cas": version}})
	if err != nil {
		return version, err
	}
	var reply anchorVersion
	err = c.asGateway(ctx, wire.Request{Method: wire.Put, Path: c.anchorPath(), Body: raw, ID: anchorPrefix + a.SHA256}, wire.WantData(&reply))
	return reply.Version, err
}

func (c *Client) anchorPath() string { return c.anchor.Mount + "/data/" + c.anchor.Path.String() }

// ofEvidence tells whether an id is that of a request that signs or keeps a checkpoint.
func ofEvidence(id string) bool {
	return strings.HasPrefix(id, anchorPrefix) || strings.HasPrefix(id, signingPrefix)
}

type anchorVersion struct {
	Version int `json:"version"`
}

// Complete implements Reply.
func (v *anchorVersion) Complete() bool { return v.Version > 0 }

type anchorReply struct {
	Data     Anchored      `json:"data"`
	Metadata anchorVersion `json:"metadata"`
}

// Complete implements Reply.
func (r *anchorReply) Complete() bool { return r.Metadata.Complete() }
