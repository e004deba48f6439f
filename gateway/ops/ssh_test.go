package ops_test

import (
	"fmt"
	"strings"
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
	if cert.CertType != gossh.UserCert || len(cert.ValidPrincipals) != 2 || cert.KeyId != "agent agent-7" || len(cert.Extensions) != 1 {
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

// TestCertificatesNameTheCaller: the key id, which sshd logs, says who the certificate was
// made for, whatever the caller adds; where the role does not allow that, the answer says so.
func TestCertificatesNameTheCaller(t *testing.T) {
	r := newRig(t)
	r.admin(t, "ssh/roles/unnamed", `{"key_type":"ca","allow_user_certificates":true,"allowed_users":"*","ttl":"5m"}`)
	acme := caller("ci")
	acme.Tenant = "acme"
	for name, tc := range map[string]struct {
		who        *call.Caller
		role, more string
		want       string
	}{
		"nothing added": {caller("agent"), "ca", ``, "agent"},
		"something":     {caller("agent"), "ca", `,"key_id":"deploy-17"`, "agent deploy-17"},
		"another name":  {caller("agent"), "ca", `,"key_id":"root"`, "agent root"},
		"a tenant":      {acme, "ca", ``, "acme/ci"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := r.as(t.Context(), tc.who, call.Terms{}, "ssh.sign", `{"role":"`+tc.role+`","public_key":"`+opstest.PublicKey+`","valid_principals":"dev"`+tc.more+`}`)
			if err != nil {
				t.Fatal(err)
			}
			cert := certificate(t, out)
			if cert.KeyId != tc.want || out["key_id"] != tc.want {
				t.Errorf("got %q and %v, want %q", cert.KeyId, out["key_id"], tc.want)
			}
			if out["serial"] != fmt.Sprint(cert.Serial) || out["serial_number"] != fmt.Sprintf("%x", cert.Serial) {
				t.Errorf("serial %v and %v, want %d", out["serial"], out["serial_number"], cert.Serial)
			}
			end := time.Unix(int64(cert.ValidBefore), 0).UTC().Format(time.RFC3339)
			if ttl, _ := out["ttl"].(float64); out["expires"] != end || ttl <= 0 || ttl > 1800 {
				t.Errorf("expires %v, ttl %v, want %s", out["expires"], out["ttl"], end)
			}
		})
	}
	args := `{"role":"unnamed","public_key":"` + opstest.PublicKey + `","valid_principals":"dev"`
	out, warnings := r.warned(t, call.Terms{}, "ssh.sign", args+`}`)
	if id := certificate(t, out).KeyId; strings.HasPrefix(id, "agent") || !strings.Contains(fmt.Sprint(warnings), "allow_user_key_ids") {
		t.Errorf("a role without key ids: got %q, warned of %q", id, warnings)
	}
	_, err := r.do(t.Context(), "ssh.sign", args+`,"key_id":"x"}`)
	wantCode(t, err, call.InvalidRequest)
}

// TestCutLivesAreSaid: whoever gets less than was asked for is told so.
func TestCutLivesAreSaid(t *testing.T) {
	r, _ := newDatabaseRig(t)
	_, warnings := r.warned(t, call.Terms{MaxTTL: time.Minute}, "ssh.sign", `{"role":"ca","public_key":"`+opstest.PublicKey+`","valid_principals":"dev","ttl":"2h"}`)
	if !strings.Contains(fmt.Sprint(warnings), "not for 7200 as asked") {
		t.Errorf("certificate: warned of %q", warnings)
	}
	lease := r.must(t, "db.issue_creds", `{"role":"readonly"}`)["lease_id"]
	out, warnings := r.warned(t, call.Terms{}, "db.renew", fmt.Sprintf(`{"lease_id":%q,"increment":99999999}`, lease))
	if !strings.Contains(fmt.Sprint(warnings), "max_ttl") || out["expires"] == nil {
		t.Errorf("Vault's own cap: got %v, warned of %q", out, warnings)
	}
	_, warnings = r.warned(t, call.Terms{MaxTTL: time.Hour}, "db.renew", fmt.Sprintf(`{"lease_id":%q,"increment":7200}`, lease))
	if !strings.Contains(fmt.Sprint(warnings), "not for 7200 as asked") {
		t.Errorf("the policy's cap: warned of %q", warnings)
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
