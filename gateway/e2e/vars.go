package e2e

import (
	"os"
	"regexp"
	"strconv"
	"strings"
)

// setting is a variable of the gateway's environment.
func (r *run) setting(key, otherwise string) string {
	for _, e := range r.script.Env {
		if v, ok := strings.CutPrefix(e, key+"="); ok {
			return r.expand(v)
		}
	}
	return otherwise
}

var variableRE = regexp.MustCompile(`\$\{([^}]+)\}`)

func (r *run) expand(s string) string {
	return variableRE.ReplaceAllStringFunc(s, func(m string) string { return r.value(m[2 : len(m)-1]) })
}

func (r *run) value(name string) string {
	kind, arg, _ := strings.Cut(name, ":")
	switch kind {
	case "repeat":
		n, text, _ := strings.Cut(arg, ":")
		count, _ := strconv.Atoi(n)
		return strings.Repeat(text, count)
	case "env":
		return os.Getenv(arg)
	case "jwt":
		return token(r.setting("JWT_HS256_SECRET", ""), arg)
	case "DIR":
		return r.dir
	case "ROOT":
		return Root(r.t)
	case "VAULT_ADDR":
		return r.vault.Addr
	case "VAULT_TOKEN":
		return r.vault.Token
	case "URL":
		return r.gateway.URL
	case "ADMIN_URL":
		return r.gateway.AdminURL
	case "LOGS":
		return r.gateway.LogDir
	case "PID":
		return strconv.Itoa(r.gateway.PID())
	}
	v, ok := r.vars[name]
	if !ok {
		r.t.Fatalf("%s: ${%s} is not set", r.script.File, name)
	}
	return v
}
