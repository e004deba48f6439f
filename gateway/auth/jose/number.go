package jose

import (
	"errors"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Digits is a whole number in claims that float64 would round: an id of 18 digits
// must not become another one.
type Digits string

// String returns the number as it was written.
func (d Digits) String() string { return string(d) }

// exactDigits is how many digits of any whole number float64 keeps.
const exactDigits = 15

// exactNumbers reads whole numbers with many digits as Digits and all others as
// float64.
func exactNumbers() json.Options {
	return json.WithUnmarshalers(json.UnmarshalFromFunc(func(dec *jsontext.Decoder, v *any) error {
		if dec.PeekKind() != '0' {
			return errors.ErrUnsupported
		}
		raw, err := dec.ReadValue()
		if err != nil {
			return err
		}
		if s := string(raw); len(s) > exactDigits && strings.Trim(s, "-0123456789") == "" {
			*v = Digits(s)
			return nil
		}
		var f float64
		err = json.Unmarshal(raw, &f)
		*v = f
		return err
	}))
}
