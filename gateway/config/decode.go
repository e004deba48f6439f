package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"time"

	strict "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
)

// strictJSON reads a file in JSON in which no key is there twice, as TOML and YAML have it.
type strictJSON struct{}

// Unmarshal implements koanf.Parser.
func (strictJSON) Unmarshal(raw []byte) (m map[string]any, err error) { return m, unmarshal(raw, &m) }

// Marshal implements koanf.Parser.
func (strictJSON) Marshal(m map[string]any) ([]byte, error) { return strict.Marshal(m) }

// unmarshal reads strict JSON. Its error quotes nothing: names may be API keys.
func unmarshal(raw []byte, to any) error {
	err := strict.Unmarshal(raw, to)
	bad, ok := errors.AsType[*jsontext.SyntacticError](err)
	switch {
	case err == nil:
		return nil
	case !ok:
		return errors.New("not the JSON that is wanted here")
	}
	said := "not valid JSON"
	if errors.Is(err, jsontext.ErrDuplicateName) {
		said = "a key is there twice"
	}
	return fmt.Errorf("line %d: %s", 1+bytes.Count(raw[:min(int(bad.ByteOffset), len(raw))], []byte("\n")), said)
}

// jsonText lets a value that is JSON text be written as a table in a file.
func jsonText(from, to reflect.Type, v any) (any, error) {
	if to != reflect.TypeFor[call.Secret]() || from.Kind() != reflect.Map {
		return v, nil
	}
	raw, err := json.Marshal(v)
	return string(raw), err
}

// commaList splits a list that is written as one string (a,b or ["a","b"]), and lets an address
// stand for the network of that address alone.
func commaList(from, to reflect.Type, v any) (any, error) {
	s, ok := v.(string)
	if !ok {
		return v, nil
	}
	if to == reflect.TypeFor[netip.Prefix]() && !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(strings.TrimSpace(s))
		if err != nil {
			return nil, err
		}
		return netip.PrefixFrom(a, a.BitLen()).String(), nil
	}
	if to.Kind() != reflect.Slice {
		return v, nil
	}
	if text := strings.TrimSpace(s); strings.HasPrefix(text, `["`) || text == "[]" { // [::1] is an address
		return jsonList(s)
	}
	if strings.TrimSpace(s) == "" {
		return []string(nil), nil // as unset as an empty variable
	}
	out := []string{}
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out, nil
}

// jsonList reads a list that is written as a JSON array of strings, as deployment
// tools do.
func jsonList(s string) ([]string, error) {
	var out []string
	err := json.Unmarshal([]byte(s), &out)
	return out, err
}

// trim removes white space around a text. A variable that comes from a file often
// ends in a line break, which no key of ours can mean.
func trim(from, _ reflect.Type, v any) (any, error) {
	if s, ok := v.(string); ok && from.Kind() == reflect.String {
		return strings.TrimSpace(s), nil
	}
	return v, nil
}

func kindName(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "duration (like 10s)"
	case t.Kind() == reflect.Bool:
		return "boolean (true or false)"
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64:
		return "whole number"
	case t == reflect.TypeFor[[]netip.Prefix]():
		return "list of addresses or networks"
	case t.Kind() == reflect.Slice:
		return "list"
	default:
		return "string"
	}
}
