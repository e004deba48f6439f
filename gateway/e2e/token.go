package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// token makes a JWT (RFC 7519) that a gateway with this HS256 secret and default
// issuer and audience accepts. Claims are "sub=reader scopes=read,list".
func token(secret, claims string) string {
	now := time.Now().Unix()
	set := map[string]any{"iss": "mcp-auth", "aud": "mcp-agents", "iat": now, "exp": now + 300}
	for pair := range strings.FieldsSeq(claims) {
		name, value, _ := strings.Cut(pair, "=")
		set[name] = value
		if name == "scopes" {
			set[name] = strings.Split(value, ",")
		}
	}
	raw, _ := json.Marshal(set) // strings and numbers alone
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(raw)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	return signed + "." + encode(mac.Sum(nil))
}
