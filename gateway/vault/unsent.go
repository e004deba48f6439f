package vault

import (
	"bytes"
	"encoding/base64"
	"encoding/json"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
)

// fragment is the shortest part of something sent that is not shown, in bytes.
const fragment = 5

type gram [fragment]byte

// unsent is a text of Vault's without any part of the request: Vault quotes arguments
// in its errors. Every run of characters that is also in a value of one of the bodies,
// JSON texts, is replaced. It takes time in proportion to both lengths.
func unsent(text string, bodies ...[]byte) string {
	at := map[gram][]int{}
	for i := 0; i+fragment <= len(text); i++ {
		g := gram([]byte(text[i : i+fragment]))
		at[g] = append(at[g], i)
	}
	hide := make([]bool, len(text))
	each := func(value []byte) {
		for i := 0; i+fragment <= len(value); i++ {
			g := gram(value[i : i+fragment])
			for _, from := range at[g] {
				for j := range fragment {
					hide[from+j] = true
				}
			}
			delete(at, g) // it has been found
		}
	}
	for _, body := range bodies {
		eachValue(body, each)
	}
	var out []byte
	for i := range len(text) {
		switch {
		case !hide[i]:
			out = append(out, text[i])
		case i == 0 || !hide[i-1]:
			out = append(out, call.Redacted...)
		}
	}
	return string(out)
}

// eachValue visits every string and number in a JSON text that is not a name, as it
// was written and as it reads, and of what it holds if it is base64.
func eachValue(body []byte, tell func([]byte)) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	for {
		tok, err := dec.ReadToken()
		if err != nil {
			return
		}
		kind, n := dec.StackIndex(dec.StackDepth())
		if kind == '{' && n%2 == 1 || tok.Kind() != '"' && tok.Kind() != '0' {
			continue
		}
		value := []byte(tok.String())
		tell(value)
		if quoted, err := json.Marshal(tok.String()); err == nil {
			tell(quoted[1 : len(quoted)-1])
		}
		if raw, err := base64.StdEncoding.DecodeString(tok.String()); err == nil {
			tell(raw)
		}
	}
}

// encoded is a value as JSON, empty when it has none.
func encoded(v any) []byte {
	raw, _ := json.Marshal(v) // what cannot be encoded has not been sent
	return raw
}
