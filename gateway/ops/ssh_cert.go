package ops

import (
	"errors"
	"strconv"
	"strings"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"portcullis/gateway/call"
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

// certificate is a certificate that Vault has made.
type certificate struct {
	text, serial string // as Vault has answered
	*gossh.Certificate
}

// parseCertificate reads a certificate (PROTOCOL.certkeys of OpenSSH).
func parseCertificate(r signReply) (certificate, error) {
	k, _, _, _, err := gossh.ParseAuthorizedKey([]byte(r.SignedKey))
	cert, ok := k.(*gossh.Certificate)
	if err != nil || !ok {
		return certificate{}, call.Wrap(call.OutcomeUnknown, "Vault's answer cannot be used; whether a certificate was made is not known", errors.New("it has no certificate that can be read"))
	}
	return certificate{strings.TrimSpace(r.SignedKey), r.SerialNumber, cert}, nil
}

// end is when the certificate ends; ok is false for one that does not.
func (c certificate) end() (t time.Time, ok bool) {
	return time.Unix(int64(min(c.ValidBefore, 1<<62)), 0), c.ValidBefore <= 1<<62
}

// outlives reports whether the certificate is valid for longer than limit from now.
func (c certificate) outlives(limit time.Duration) bool {
	end, ok := c.end()
	return !ok || time.Until(end) > limit+clockSkew
}

func (c certificate) result(now time.Time) certificateOut {
	out := certificateOut{Certificate: c.text, SerialNumber: c.serial, Serial: strconv.FormatUint(c.Serial, 10), KeyID: c.KeyId}
	if end, ok := c.end(); ok {
		out.Expires, out.TTL = end.UTC().Format(time.RFC3339), max(0, int(end.Sub(now)/time.Second))
	}
	return out
}
