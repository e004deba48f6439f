package call

import (
	"bytes"
	"encoding/json"
	"log/slog"
)

// Redacted is what a secret prints as.
const Redacted = "[redacted]"

// Secret is a string that prints, logs and marshals as [redacted]. Only op.Encode,
// which writes replies, and the code that sends it to Vault see its value.
type Secret string

// Reveal returns the value. Call it only to send the value where it belongs.
func (s Secret) Reveal() string { return string(s) }

func (Secret) String() string               { return Redacted }
func (Secret) GoString() string             { return Redacted }
func (Secret) LogValue() slog.Value         { return slog.StringValue(Redacted) }
func (Secret) MarshalText() ([]byte, error) { return []byte(Redacted), nil }
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// SecretJSON is a JSON value, kept as the bytes that came, that prints, logs and
// marshals as [redacted].
type SecretJSON struct{ raw []byte }

// NewSecretJSON keeps raw without copying it. The caller must not change it.
func NewSecretJSON(raw []byte) SecretJSON { return SecretJSON{raw} }

// Reveal returns the JSON text, "null" when there is none.
func (s SecretJSON) Reveal() []byte {
	if len(s.raw) == 0 {
		return []byte("null")
	}
	return s.raw
}

// IsZero reports whether there is no value.
func (s SecretJSON) IsZero() bool { return len(s.raw) == 0 || bytes.Equal(s.raw, []byte("null")) }

// UnmarshalJSON keeps a copy of b.
func (s *SecretJSON) UnmarshalJSON(b []byte) error {
	s.raw = bytes.Clone(b)
	return nil
}

func (SecretJSON) String() string               { return Redacted }
func (SecretJSON) GoString() string             { return Redacted }
func (SecretJSON) LogValue() slog.Value         { return slog.StringValue(Redacted) }
func (SecretJSON) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

var (
	_ json.Marshaler   = Secret("")
	_ json.Unmarshaler = (*SecretJSON)(nil)
)
