package vault

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
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

// CheckSigning asks Vault whether the signing key can sign checkpoints: it is there, its
// type is ed25519 without derivation, and the gateway's policy lets it sign. Nothing is
// signed. The error says what is missing and what to do; it is nil without such a key.
func (c *Client) CheckSigning(ctx context.Context) error {
	k := &c.signing
	if k.Mount == "" {
		return nil
	}
	keys, sign := k.Mount+"/keys/"+k.Name, k.Mount+"/sign/"+k.Name
	create, another := "create it (vault write -f "+keys+" type=ed25519)", "create another (vault write -f "+k.Mount+"/keys/OTHER type=ed25519)"
	var reply transitKey
	err := c.asGateway(ctx, wire.Request{Method: wire.Get, Path: keys}, wire.WantData(&reply))
	switch {
	case call.Is(err, call.NotFound):
		return fmt.Errorf("AUDIT_SIGN_TRANSIT_KEY names a key that does not exist, %s: %s, or correct MOUNT/NAME", keys, create)
	case call.Is(err, call.Forbidden):
		return fmt.Errorf("AUDIT_SIGN_TRANSIT_KEY: the gateway's policy in Vault needs read on %s, if there is such a mount", keys)
	case err != nil:
		return fmt.Errorf("AUDIT_SIGN_TRANSIT_KEY: %s could not be read: %w", keys, err)
	case reply.Type != "ed25519":
		return fmt.Errorf("AUDIT_SIGN_TRANSIT_KEY: %s is of the type %s, and checkpoints need ed25519: %s", keys, reply.Type, another)
	case reply.Derived:
		return fmt.Errorf("AUDIT_SIGN_TRANSIT_KEY: %s is a derived key, which signs nothing without a context: %s", keys, another)
	}
	return c.maySign(ctx, sign)
}

// maySign asks for the gateway's own rights (Vault API, sys/capabilities-self), which every
// token may that has Vault's default policy.
func (c *Client) maySign(ctx context.Context, path string) error {
	raw, err := json.Marshal(map[string][]string{"paths": {path}})
	if err != nil {
		return err
	}
	var rights capabilities
	if err := c.asGateway(ctx, wire.Request{Method: wire.Put, Path: "sys/capabilities-self", Body: raw}, wire.WantData(&rights)); err != nil {
		return fmt.Errorf("AUDIT_SIGN_TRANSIT_KEY: whether the gateway may sign could not be asked; its policy in Vault needs update on %s: %w", path, err)
	}
	if !slices.Contains(rights.All, "update") && !slices.Contains(rights.All, "root") {
		return fmt.Errorf("AUDIT_SIGN_TRANSIT_KEY: the gateway's policy in Vault needs update on %s", path)
	}
	return nil
}

type capabilities struct {
	All []string `json:"capabilities"`
}

// Complete implements Reply.
func (c *capabilities) Complete() bool { return len(c.All) > 0 }

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
	Type    string                     `json:"type"`
	Derived bool                       `json:"derived"`
	Keys    map[string]json.RawMessage `json:"keys"`
}

// Complete implements Reply.
func (k *transitKey) Complete() bool { return k.Type != "" }
