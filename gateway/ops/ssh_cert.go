package ops

import (
	"strings"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// publicKey returns the key of one line of an authorized_keys file without its
// comment and options (sshd(8)), and whether it is one.
func publicKey(line string) (string, bool) {
	k, _, options, rest, err := gossh.ParseAuthorizedKey([]byte(line))
	if err != nil || len(options) > 0 || len(rest) > 0 {
		return "", false
	}
	return strings.TrimSpace(string(gossh.MarshalAuthorizedKey(k))), true
}

// clockSkew is how far Vault's clock may be ahead of ours before a certificate
// looks longer than it is.
const clockSkew = 30 * time.Second

// outlives reports whether a certificate is valid for longer than limit from now
// (PROTOCOL.certkeys of OpenSSH). One that cannot be read is.
func outlives(certificate string, limit time.Duration) bool {
	k, _, _, _, err := gossh.ParseAuthorizedKey([]byte(certificate))
	cert, ok := k.(*gossh.Certificate)
	if err != nil || !ok || cert.ValidBefore > 1<<62 {
		return true
	}
	end := time.Unix(int64(cert.ValidBefore), 0)
	return time.Until(end) > limit+clockSkew
}
