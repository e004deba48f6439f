package op

import (
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
)

// Textual returns the JSON value that is written in a text, when it is one of the kind
// and strict; else the text itself.
func Textual(val jsontext.Value, kind jsontext.Kind) jsontext.Value {
	s, ok := unquoted(val)
	inner := jsontext.Value(strings.TrimSpace(s))
	if !ok || inner.Kind() != kind || CheckJSON(inner) != nil || inner.Compact() != nil {
		return val
	}
	return inner
}

func unquoted(val jsontext.Value) (string, bool) {
	if val.Kind() != '"' {
		return "", false
	}
	b, err := jsontext.AppendUnquote(nil, val)
	return string(b), err == nil
}

func quoted(s string) jsontext.Value {
	b, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		return jsontext.Value(`""`)
	}
	return b
}

// integer takes a whole number in whatever way it is written: 3, 3.0, 3e0, "3".
func integer(val jsontext.Value) (jsontext.Value, bool) {
	s := string(val)
	if val.Kind() == '"' {
		t, _ := unquoted(val)
		s = strings.TrimSpace(t)
		if s == "" || !jsontext.Value(s).IsValid() {
			return val, false
		}
	}
	d, ok := parseDecimal(s)
	if !ok {
		return val, false
	}
	whole, ok := d.integer()
	if !ok {
		return val, false
	}
	return jsontext.Value(whole), true
}

func boolean(val jsontext.Value) (jsontext.Value, bool) {
	if s, ok := unquoted(val); ok {
		if s = strings.ToLower(strings.TrimSpace(s)); s == "true" || s == "false" {
			val = jsontext.Value(s)
		}
	}
	return val, val.Kind() == 't' || val.Kind() == 'f'
}

// text takes a text, or a whole number for one. One of a few values may be written in
// other letters, or under another name.
func text(val jsontext.Value, l Limit) (jsontext.Value, bool) {
	if val.Kind() == '0' {
		whole, ok := integer(val)
		if !ok || string(whole) != string(val) {
			return val, false
		}
		return quoted(string(whole)), true
	}
	if val.Kind() != '"' || len(l.Enum) == 0 {
		return val, val.Kind() == '"'
	}
	s, ok := unquoted(val)
	if !ok {
		return val, false
	}
	if other := l.Aliases[strings.ToLower(s)]; other != "" {
		return quoted(other), true
	}
	if slices.Contains(l.Enum, s) {
		return val, true
	}
	for _, e := range l.Enum {
		if strings.EqualFold(e, s) {
			return quoted(e), true
		}
	}
	return val, true
}

// decimal is a number as it is written in JSON, normalised: sign, digits without
// zeros at either end, and the power of ten of the last digit. Equal numbers are equal.
type decimal struct {
	negative bool
	digits   string // empty for zero
	exp      int
}

// maxExponent bounds what is looked at: what is beyond is no number that anybody keeps.
const maxExponent = 100_000

// parseDecimal reads a JSON number (RFC 8259 section 6) in linear time.
func parseDecimal(s string) (d decimal, ok bool) {
	if !jsontext.Value(s).IsValid() || jsontext.Value(s).Kind() != '0' {
		return d, false
	}
	s, d.negative = strings.CutPrefix(s, "-")
	mantissa, exponent := s, ""
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa, exponent = s[:i], strings.TrimPrefix(s[i+1:], "+")
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return decimal{}, true
	}
	if exponent != "" {
		n, err := strconv.Atoi(exponent)
		if err != nil || n > maxExponent || n < -maxExponent {
			return d, false
		}
		d.exp = n
	}
	d.digits = strings.TrimRight(digits, "0")
	d.exp += len(digits) - len(d.digits) - len(fraction)
	return d, true
}

// integer writes a whole number of at most 18 digits.
func (d decimal) integer() (string, bool) {
	switch {
	case d.digits == "":
		return "0", true
	case d.exp < 0 || len(d.digits)+d.exp > 18:
		return "", false
	}
	s := d.digits + strings.Repeat("0", d.exp)
	if d.negative {
		s = "-" + s
	}
	return s, true
}

// CheckNumbers reports the first number in a JSON value that Vault would not keep as it
// is: Vault hands numbers of a secret out as IEEE 754 doubles, so a whole number beyond
// 2^53, too many digits or too large an exponent come back as another number, or make
// the secret unreadable. Errors are InvalidRequest and name the place.
func CheckNumbers(argument string, raw []byte) error {
	dec := inPlace(raw)
	for {
		tok, err := dec.ReadToken()
		if err != nil {
			return nil // what is no JSON has been refused
		}
		if tok.Kind() == '0' && !survives(tok.String()) {
			return call.Errorf(call.InvalidRequest, "argument %s: the number at %s cannot be kept exactly by Vault (a 64-bit float): send it as a string, in quotes",
				argument, pointer(dec.StackPointer()))
		}
		if dec.StackDepth() == 0 {
			return nil
		}
	}
}

// survives reports whether a number is the same after it has been a double and was
// written in the shortest form that reads back as that double.
func survives(s string) bool {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return false
	}
	sent, ok1 := parseDecimal(s)
	kept, ok2 := parseDecimal(strconv.FormatFloat(f, 'e', -1, 64))
	return ok1 && ok2 && (sent == kept || sent.digits == "" && kept.digits == "")
}

// maxPointer bounds how much of a place is told.
const maxPointer = 200

func pointer(p jsontext.Pointer) string {
	s := string(p)
	if len(s) > maxPointer {
		s = s[:maxPointer] + "..."
	}
	return strings.ToValidUTF8(s, "")
}
