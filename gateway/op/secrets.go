package op

import (
	"bytes"
	"reflect"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
)

// maxSecrets bounds how many values Secrets finds in one result.
const maxSecrets = 64

// maxSecretText is the length of a JSON string beyond which it is not visited: no
// redactor knows values as long as that, and most of them are files.
const maxSecretText = 128 << 10

// Secrets visits the secret texts in the result of an operation: of every field
// that is one, and of every string in a field that is secret JSON. It visits the
// first ones if there are very many.
func Secrets(out any, tell func(...string)) {
	f := finder{}
	f.value(reflect.ValueOf(out))
	tell(f.found...)
}

type finder struct{ found []string }

func (f *finder) add(s string) {
	if len(f.found) < maxSecrets {
		f.found = append(f.found, s)
	}
}

func (f *finder) value(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			f.value(v.Elem())
		}
	case reflect.Slice:
		for i := 0; i < v.Len() && len(f.found) < maxSecrets; i++ {
			f.value(v.Index(i))
		}
	case reflect.String:
		if v.Type() == reflect.TypeFor[call.Secret]() {
			f.add(v.String())
		}
	case reflect.Struct:
		f.fields(v)
	}
}

func (f *finder) fields(v reflect.Value) {
	if v.Type() == reflect.TypeFor[call.SecretJSON]() {
		if s, ok := reflect.TypeAssert[call.SecretJSON](v); ok {
			f.strings(s.Reveal())
		}
		return
	}
	for i := range v.NumField() {
		if of := v.Type().Field(i); of.IsExported() || of.Anonymous { // an embedded type's own fields are told as well
			f.value(v.Field(i))
		}
	}
}

// strings finds the strings of a JSON value, without the names of members. The value has
// been checked by whoever decoded it, so that strings alone are looked for.
func (f *finder) strings(raw []byte) {
	for len(f.found) < maxSecrets {
		start := bytes.IndexByte(raw, '"')
		if start < 0 {
			return
		}
		raw = raw[start:]
		end := stringEnd(raw)
		if end < 0 {
			return
		}
		text := raw[:end]
		raw = raw[end:]
		if rest := bytes.TrimLeft(raw, " \n\r\t"); len(rest) > 0 && rest[0] == ':' || len(text) > maxSecretText {
			continue // a name
		}
		if s, err := jsontext.AppendUnquote(nil, text); err == nil {
			f.add(string(s))
		}
	}
}

// stringEnd is the length of the JSON string that raw begins with, -1 when it has no end.
func stringEnd(raw []byte) int {
	for i := 1; i < len(raw); {
		quote := bytes.IndexByte(raw[i:], '"')
		if quote < 0 {
			return -1
		}
		i += quote + 1
		escapes := 0
		for raw[i-2-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return i
		}
	}
	return -1
}
