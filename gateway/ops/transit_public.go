package ops

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strconv"
	"strings"

	"portcullis/gateway/call"
	"portcullis/gateway/vault"
)

type publicKeysIn struct {
	key
	Version int `json:"version,omitzero" jsonschema:"the key's version, absent for the latest"`
}

type publicKeysOut struct {
	Key       string            `json:"key" jsonschema:"name of the key"`
	Type      string            `json:"type" jsonschema:"type of the key, as ed25519 or rsa-2048"`
	Version   int               `json:"version" jsonschema:"the version of public_key"`
	PublicKey string            `json:"public_key" jsonschema:"the public half, PEM of a SubjectPublicKeyInfo (RFC 7468 section 13)"`
	Versions  map[string]string `json:"versions" jsonschema:"the public halves of all versions that are kept, by number"`
}

// keyReply is what Vault answers about a key.
type keyReply struct {
	Type   string                     `json:"type"`
	Latest int                        `json:"latest_version"`
	Keys   map[string]json.RawMessage `json:"keys"`
}

// Complete implements vault.Reply.
func (r *keyReply) Complete() bool { return r.Type != "" && r.Latest > 0 }

// publicKeys reads the public halves of a key (Vault API, transit/keys). Vault writes
// that of an ed25519 key as bare base64; here every one is PEM.
func publicKeys(ctx context.Context, s *vault.Session, in publicKeysIn) (publicKeysOut, error) {
	var reply keyReply
	if err := s.Get(ctx, "keys/"+string(in.Key), nil, &reply); err != nil {
		return publicKeysOut{}, err
	}
	out := publicKeysOut{Key: string(in.Key), Type: reply.Type, Version: reply.Latest, Versions: map[string]string{}}
	for version, raw := range reply.Keys {
		var k struct {
			PublicKey string `json:"public_key"`
		}
		if json.Unmarshal(raw, &k) == nil && k.PublicKey != "" {
			out.Versions[version] = asPEM(reply.Type, k.PublicKey)
		}
	}
	if in.Version != 0 {
		out.Version = in.Version
	}
	out.PublicKey = out.Versions[strconv.Itoa(out.Version)]
	switch {
	case len(out.Versions) == 0:
		return publicKeysOut{}, call.Errorf(call.InvalidRequest, "the key has no public half: it is of the type %s", reply.Type)
	case out.PublicKey == "":
		return publicKeysOut{}, call.Errorf(call.NotFound, "not found: the key has no version %d; its latest is %d", out.Version, reply.Latest)
	}
	return out, nil
}

func asPEM(kind, key string) string {
	if kind != "ed25519" || strings.HasPrefix(key, "-----BEGIN") {
		return key
	}
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return key
	}
	der, err := x509.MarshalPKIXPublicKey(ed25519.PublicKey(raw))
	if err != nil {
		return key
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}
