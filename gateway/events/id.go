package events

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// ids turns sequence numbers into event ids. An id is one encrypted block that
// also holds a tag of the caller and the stream: it tells nobody how much others
// do, and is of no use to another caller, or with another log.
type ids struct{ block cipher.Block }

func randomKey() (key [32]byte) {
	_, _ = rand.Read(key[:]) // never fails
	return key
}

func newIDs(key [32]byte) ids {
	b, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // the key has the right length
	}
	return ids{b}
}

func tag(owner, scope string) [8]byte {
	sum := sha256.Sum256([]byte(owner + "\x00" + scope))
	return [8]byte(sum[:8])
}

func (i ids) seal(seq uint64, owner, scope string) string {
	var b [aes.BlockSize]byte
	t := tag(owner, scope)
	binary.BigEndian.PutUint64(b[:8], seq)
	copy(b[8:], t[:])
	i.block.Encrypt(b[:], b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (i ids) open(id, owner, scope string) (uint64, bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(id)
	if err != nil || len(raw) != aes.BlockSize {
		return 0, false
	}
	var b [aes.BlockSize]byte
	i.block.Decrypt(b[:], raw)
	return binary.BigEndian.Uint64(b[:8]), [8]byte(b[8:]) == tag(owner, scope)
}
