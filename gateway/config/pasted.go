package config

import (
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"portcullis/gateway/call"
)

// What only a credential looks like: a token of Vault's (also one of before 1.10), a JWT, a
// private key, and a UUID, which secret ids are.
var (
	tokenRE = regexp.MustCompile(`\bhv[sbr]\.[\w-]{12}|\b[sbr]\.[A-Za-z0-9]{24}\b|\beyJ[\w-]{6,}\.[\w-]+\.|-----BEGIN `)
	uuidRE  = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
)

// checkPasted looks for credentials in settings that are shown: in logs, in errors, in what
// config show writes. One that has such a value counts as not set for all that follows.
func (c *Config) checkPasted() []error {
	v, t, defaults := reflect.ValueOf(c).Elem(), reflect.TypeFor[Config](), reflect.ValueOf(Default())
	p := problems{}
	for i := range t.NumField() {
		tag := t.Field(i).Tag.Get("cfg")
		if tag == "-" || tag == "" || t.Field(i).Type == reflect.TypeFor[call.Secret]() || slices.Contains(receivers, tag) {
			continue
		}
		if !holds(v.Field(i), func(s string) bool { return credential(tag, s) }) {
			continue
		}
		v.Field(i).Set(defaults.Field(i))
		p.unless(false, "%s: holds a credential, or an address with a user name or password, and is shown in logs and errors; files are for credentials, such as those of VAULT_TOKEN_FILE, API_KEYS_FILE and POLICY_URL_TOKEN_FILE", tag)
	}
	return p.errs
}

// holds reports whether a text in a setting is such a one.
func holds(v reflect.Value, is func(string) bool) bool {
	switch v.Kind() {
	case reflect.String:
		return is(v.String())
	case reflect.Slice:
		for i := range v.Len() {
			if holds(v.Index(i), is) {
				return true
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && holds(v.Field(i), is) {
				return true
			}
		}
	}
	return false
}

// credential reports whether a setting's value is one, or has one in it.
func credential(tag, s string) bool {
	if tokenRE.MatchString(s) || strings.HasSuffix(tag, "_FILE") && (uuidRE.MatchString(s) || strings.HasPrefix(strings.TrimSpace(s), "{")) {
		return true
	}
	if scheme, rest, ok := strings.Cut(s, "://"); ok { // also one that does not parse
		place, _, _ := strings.Cut(rest, "/")
		u, err := url.Parse(s)
		return scheme != "" && (err == nil && u.User != nil || strings.Contains(place, "@") && err != nil)
	}
	return false
}
