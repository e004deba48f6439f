package op

import (
	"bytes"
	"reflect"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
)

// maxSecrets bounds how many values Secrets finds in one result.
const maxSecrets = 64

// maxSecretText is the length of a JSON string beyond which it is not told of: no
// redactor knows values as long as that, and most of them are files.
const maxSecretText = 128 << 10

// Secrets tells of the secret texts in the result of an operation: of every field
// that is one, and of every string in a field that is secret JSON. It tells of the
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

// strings finds the strings of a JSON value, without the names of members.
func (f *finder) strings(raw []byte) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw))
	for len(f.found) < maxSecrets {
		if dec.PeekKind() != '"' {
			if _, err := dec.ReadToken(); err != nil {
				return
			}
			continue
		}
		kind, n := dec.StackIndex(dec.StackDepth())
		text, err := dec.ReadValue()
		if err != nil {
			return
		}
		if name := kind == '{' && n%2 == 0; name || len(text) > maxSecretText {
			continue
		}
		if s, err := jsontext.AppendUnquote(nil, text); err == nil {
			f.add(string(s))
		}
	}
}
