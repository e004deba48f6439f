package ops_test

import (
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"portcullis/gateway/call"
	"portcullis/gateway/ops/opstest"
)

func certificate(t *testing.T, out map[string]any) *gossh.Certificate {
	t.Helper()
	text, _ := out["certificate"].(string)
	k, _, _, _, err := gossh.ParseAuthorizedKey([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return k.(*gossh.Certificate)
}

func life(c *gossh.Certificate) time.Duration {
	return time.Until(time.Unix(int64(c.ValidBefore), 0))
}

func TestSign(t *testing.T) {
	r := newRig(t)
	cert := certificate(t, r.must(t, "ssh.sign", `{"role":"ca","public_key":"`+opstest.PublicKey+`","valid_principals":"dev,ops","ttl":"300",
		"key_id":"agent-7","extensions":{"permit-pty":""}}`))
	if cert.CertType != gossh.UserCert || len(cert.ValidPrincipals) != 2 || cert.KeyId != "agent-7" || len(cert.Extensions) != 1 {
		t.Errorf("got %+v", cert)
	}
	if l := life(cert); l > 5*time.Minute {
		t.Errorf("got a life of %v, want at most 5m", l)
	}
	cert = certificate(t, r.must(t, "ssh.sign", `{"role":"ca","public_key":"`+opstest.PublicKey+`","cert_type":"host","valid_principals":"host.example"}`))
	if cert.CertType != gossh.HostCert {
		t.Errorf("got a certificate of type %d, want one for hosts", cert.CertType)
	}
}

// The decision's cap holds whether or not the caller asks for a life of its own.
func TestSignShortens(t *testing.T) {
	r := newRig(t)
	for _, ttl := range []string{"", `,"ttl":"2h"`} {
		out, err := r.as(t.Context(), caller("agent"), call.Terms{MaxTTL: time.Minute}, "ssh.sign",
			`{"role":"ca","public_key":"`+opstest.PublicKey+`","valid_principals":"dev"`+ttl+`}`)
		if err != nil {
			t.Fatal(err)
		}
		if l := life(certificate(t, out)); l > time.Minute {
			t.Errorf("asked for %q: got a life of %v, want at most 1m", ttl, l)
		}
	}
	_, err := r.as(t.Context(), caller("agent"), call.Terms{MaxTTL: time.Minute}, "ssh.otp", `{"role":"otp","ip":"127.0.0.1"}`)
	wantCode(t, err, call.Forbidden)
}

func TestSSHRefuses(t *testing.T) {
	r := newRig(t)
	for name, tt := range map[string]struct{ op, args string }{
		"not an address":  {"ssh.otp", `{"role":"otp","ip":"host"}`},
		"zone":            {"ssh.otp", `{"role":"otp","ip":"fe80::1%eth0"}`},
		"port":            {"ssh.otp", `{"role":"otp","ip":"127.0.0.1","port":70000}`},
		"unknown role":    {"ssh.otp", `{"role":"none","ip":"127.0.0.1"}`},
		"not a key":       {"ssh.sign", `{"role":"ca","public_key":"x"}`},
		"two lines":       {"ssh.sign", `{"role":"ca","public_key":"` + opstest.PublicKey + `\n` + opstest.PublicKey + `"}`},
		"ttl":             {"ssh.sign", `{"role":"ca","public_key":"` + opstest.PublicKey + `","ttl":"soon"}`},
		"ttl 0":           {"ssh.sign", `{"role":"ca","public_key":"` + opstest.PublicKey + `","ttl":"0"}`},
		"cert_type":       {"ssh.sign", `{"role":"ca","public_key":"` + opstest.PublicKey + `","cert_type":"x"}`},
		"option value":    {"ssh.sign", `{"role":"ca","public_key":"` + opstest.PublicKey + `","critical_options":{"force-command":"a\nb"}}`},
		"trailing commas": {"ssh.sign", `{"role":"ca","public_key":"` + opstest.PublicKey + `","valid_principals":"a,,b"}`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.do(t.Context(), tt.op, tt.args)
			wantCode(t, err, call.InvalidRequest)
		})
	}
}
