// Package sealed makes what replicas keep in a shared store unreadable there. Something is
// named and sealed by an identifier that the store does not learn: whoever reads the store
// learns nothing, and whoever writes it can take things away and not change them.
package sealed

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
)

// Box is what an identifier names and seals.
type Box struct {
	// Name is what the store knows the identifier by.
	Name string

	aead cipher.AEAD
}

// By makes the box of an identifier of a kind: the same identifier of two kinds has two boxes.
func By(kind, id string) Box {
	name, key := sha256.Sum256([]byte("name of "+kind+"\x00"+id)), sha256.Sum256([]byte("key of "+kind+"\x00"+id))
	block, _ := aes.NewCipher(key[:])              // 32 bytes
	aead, _ := cipher.NewGCMWithRandomNonce(block) // a block of AES
	return Box{base64.RawURLEncoding.EncodeToString(name[:16]), aead}
}

// Seal seals what JSON can hold.
func (b Box) Seal(v any) []byte {
	raw, _ := json.Marshal(v) // for the caller to see to
	return b.SealText(raw)
}

// Open reports whether data are what Seal has made of a v.
func (b Box) Open(data []byte, v any) bool {
	raw, ok := b.OpenText(data)
	return ok && json.Unmarshal(raw, v) == nil
}

// SealText seals a text (AES-256-GCM with a random nonce).
func (b Box) SealText(text []byte) []byte { return b.aead.Seal(nil, nil, text, nil) }

// OpenText is the text of which SealText has made data; not ok when it has not.
func (b Box) OpenText(data []byte) (text []byte, ok bool) {
	text, err := b.aead.Open(nil, nil, data, nil)
	return text, err == nil
}
