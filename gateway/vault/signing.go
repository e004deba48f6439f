package vault

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/wire"
)

// SigningKey is an ed25519 key of a transit mount that signs checkpoints of the evidence.
// The zero SigningKey is none. No grant opens a session on it.
type SigningKey struct{ Mount, Name string }

func (k SigningKey) holds(r call.Resource) bool {
	return k.Mount != "" && r.Mount == k.Mount && r.Path.String() == k.Name
}

// signing is what is known of the key: the public half of each version, by its number.
type signing struct {
	SigningKey

	mu     sync.Mutex // guards public
	public map[string]ed25519.PublicKey
}

// signingPrefix begins the X-Correlation-Id of a request that signs; the SHA-256 of the text
// in hex follows, as in that of an anchor.
const signingPrefix = "sign-"

// Sign signs a text with the newest version of the signing key (Vault API, transit/sign),
// and returns the public half of that version as well.
func (c *Client) Sign(ctx context.Context, text []byte) (public ed25519.PublicKey, signature []byte, err error) {
	raw, err := json.Marshal(map[string]string{"input": base64.StdEncoding.EncodeToString(text)})
	if err != nil {
		return nil, nil, err
	}
	sum := sha256.Sum256(text)
	var reply signReply
	k := &c.signing
	r := wire.Request{Method: wire.Put, Path: k.Mount + "/sign/" + k.Name, Body: raw, ID: signingPrefix + hex.EncodeToString(sum[:])}
	if err := c.asGateway(ctx, r, wire.WantData(&reply)); err != nil {
		return nil, nil, fmt.Errorf("sign with the transit key %s/%s (the gateway's policy in Vault needs update on %s): %w", k.Mount, k.Name, r.Path, err)
	}
	version, signature, err := reply.parse()
	if err != nil {
		return nil, nil, err
	}
	public, err = c.publicOf(ctx, version)
	return public, signature, err
}

// publicOf is the public half of a version, which is read when it is not known: the key was
// rotated.
func (c *Client) publicOf(ctx context.Context, version string) (ed25519.PublicKey, error) {
	k := &c.signing
	k.mu.Lock()
	defer k.mu.Unlock()
	if public := k.public[version]; public != nil {
		return public, nil
	}
	var reply transitKey
	path := k.Mount + "/keys/" + k.Name
	if err := c.asGateway(ctx, wire.Request{Method: wire.Get, Path: path}, wire.WantData(&reply)); err != nil {
		return nil, fmt.Errorf("read the public half of the transit key (the gateway's policy in Vault needs read on %s): %w", path, err)
	}
	if reply.Type != "ed25519" {
		return nil, fmt.Errorf("the transit key %s/%s is of the type %s: checkpoints need one of the type ed25519", k.Mount, k.Name, reply.Type)
	}
	var v struct {
		Public []byte `json:"public_key"`
	}
	if err := json.Unmarshal(reply.Keys[version], &v); err != nil || len(v.Public) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("the transit key %s/%s has no public half of version %s: a derived key cannot sign checkpoints", k.Mount, k.Name, version)
	}
	if k.public == nil {
		k.public = map[string]ed25519.PublicKey{}
	}
	k.public[version] = v.Public
	return v.Public, nil
}

type signReply struct {
	Signature string `json:"signature"`
}

// Complete implements Reply.
func (r *signReply) Complete() bool { return r.Signature != "" }

// parse cuts a signature of Vault's: vault:vVERSION:BASE64.
func (r *signReply) parse() (version string, signature []byte, err error) {
	parts := strings.Split(r.Signature, ":")
	if len(parts) == 3 && parts[0] == "vault" && strings.HasPrefix(parts[1], "v") {
		if signature, err = base64.StdEncoding.DecodeString(parts[2]); err == nil {
			return parts[1][1:], signature, nil
		}
	}
	return "", nil, fmt.Errorf("the signature of Vault has an unknown form: %.20q", r.Signature)
}

// transitKey is what Vault answers about a key (Vault API, transit/keys).
type transitKey struct {
	Type string                     `json:"type"`
	Keys map[string]json.RawMessage `json:"keys"`
}

// Complete implements Reply.
func (k *transitKey) Complete() bool { return k.Type != "" }
