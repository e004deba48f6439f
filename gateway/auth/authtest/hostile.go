package authtest

import (
	"math/rand/v2"
	"strings"
)

// Hostile is a text that would mean something where a name is written into a path, a
// template, a policy, a pattern or a message without care: pieces of all of these, put
// together at random. Some are up to about 4 KB long.
func Hostile(r *rand.Rand) string {
	pieces := []string{
		"..", ".", "/", "//", "\\", "../", "/../../sys/policies/acl/x", "..%2f", "%2e%2e", "%252e%252e%252f", "%00", "%c0%ae%c0%ae", "..;/", ";", // paths
		"{{identity.entity.id}}", "{{identity.entity.aliases.x.metadata.prefix}}", "{{", "}}", "{subject}", "{tenant}/{subject}", "${VAULT_TOKEN}", "{{ .Data }}", "%s%n", // templates
		"\"", "'", "`", "path \"*\" { capabilities = [\"sudo\"] }", "\" } path \"sys/*\" {", "\"]}", "#", "//x", "/*", "*/", "<<EOT\n", "\\\"", // policies and quotes
		"*", "+", "?", "[a-z]", "**", "mcp/*", "mcp/+", // patterns
		"\n", "\r\n", "\t", "\x00", "\x1b[2J", "\u202e", "\u200b", "\ufeff", "\u0430gent", "e\u0301", "\u00e9", "\U0001f511", "\ufffd", "\u2028", // characters
		"root", "default", "admin", "gateway/", "sys", "auth", "mcp", "other", "agent", ".leases", "portcullis-gateway", "~", "~2f", ":", "|", ",", "=", "&", "@", "$", " ", "-", "_", "null", "<script>",
	}
	var b strings.Builder
	for range 1 + r.IntN(6) {
		b.WriteString(pieces[r.IntN(len(pieces))])
	}
	if r.IntN(20) == 0 {
		b.WriteString(strings.Repeat(pieces[r.IntN(len(pieces))], 100))
	}
	return b.String()
}
