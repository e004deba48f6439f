package ops

import (
	"encoding/base64"
	"encoding/hex"
	"unicode/utf8"

	"portcullis/gateway/call"
)

// toBase64 returns what a caller wrote in the encoding that Vault wants. Without an
// encoding it is base64; what is none, or what can as well be a plain word, is refused:
// bytes that nobody meant would be encrypted or signed in silence.
func toBase64(s call.Secret, encoding, argument string) (string, error) {
	text := s.Reveal()
	if encoding == "utf-8" {
		return base64.StdEncoding.EncodeToString([]byte(text)), nil
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	switch {
	case err != nil:
		return "", call.Errorf(call.InvalidRequest, `argument %s: not base64, which is what is taken without encoding: encode %s (RFC 4648 section 4, with padding), or give encoding "utf-8" for plain text`, argument, argument)
	case encoding == "" && isWord(text) && !utf8.Valid(raw):
		return "", call.Errorf(call.InvalidRequest, `argument %s: may be plain text or base64; give encoding "utf-8" or "base64"`, argument)
	}
	return text, nil
}

// isWord reports whether a text is one that people write and that encoders hardly ever
// do: a word or a number, letters of one case, of which the first may be of the other,
// and digits. The base64 of 12 bytes that are no text looks like that once in ten
// thousand times. Texts may be a megabyte long.
func isWord(text string) bool {
	upper, lower := false, false // behind the first character
	for i := range len(text) {
		switch c := text[i]; {
		case c >= '0' && c <= '9':
		case c >= 'A' && c <= 'Z':
			upper = upper || i > 0
		case c >= 'a' && c <= 'z':
			lower = true
		default:
			return false
		}
	}
	return text != "" && !(upper && lower)
}

// isBase64 checks what is base64 whatever the encoding of the rest.
func isBase64(s call.Secret, argument string) error {
	if _, err := base64.StdEncoding.DecodeString(s.Reveal()); err != nil {
		return call.Errorf(call.InvalidRequest, "argument %s: not base64 (RFC 4648 section 4, with padding); it is base64 whatever encoding says", argument)
	}
	return nil
}

// decode returns Vault's base64 in the encoding that the caller wants.
func decode(b64, encoding string) (*call.Secret, error) {
	if encoding == "" || encoding == "base64" {
		return new(call.Secret(b64)), nil
	}
	raw, err := base64.StdEncoding.DecodeString(b64)
	switch {
	case err != nil:
		return nil, call.Wrap(call.VaultError, "Vault error", err)
	case encoding == "hex":
		return new(call.Secret(hex.EncodeToString(raw))), nil
	case !utf8.Valid(raw):
		return nil, call.Errorf(call.InvalidRequest, "the plaintext is not text; ask for base64")
	}
	return new(call.Secret(raw)), nil
}

// taken is how bytes were written when nobody said so.
func taken(encoding string) string {
	if encoding == "" {
		return "base64"
	}
	return encoding
}
