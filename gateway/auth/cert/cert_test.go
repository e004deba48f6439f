package cert_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/auth/authtest"
	"portcullis/gateway/auth/cert"
	"portcullis/gateway/auth/principal"
	"portcullis/gateway/auth/rule"
)

func TestDNValue(t *testing.T) {
	for dn, want := range map[string]string{
		"CN=bot":                    "bot",
		"CN=bot,OU=ci,O=x":          "bot",
		"O=x, OU=ci, CN=bot":        "bot",
		"cn=bot,O=x":                "bot",
		"OU=ci+CN=bot,O=x":          "bot",
		`CN=a\,CN\=b,O=x`:           "a,CN=b",
		`CN=\62ot`:                  "bot",
		`O=x\,CN\=victim,CN=bot`:    "bot",
		"O=#04,CN=bot":              "error",
		"CN=b#t":                    "b#t",
		"1.2.3=x,CN=bot":            "bot",
		"CN=":                       "",
		"":                          "error",
		"bot":                       "error",
		"=bot":                      "error",
		"CN=a,CN=b":                 "error",
		"CN=a+CN=b":                 "error",
		"O=x":                       "error",
		"CN=bot,":                   "error",
		`CN=bot\`:                   "error",
		`CN=bot\z`:                  "error",
		`CN="bot"`:                  "error",
		"CN=a;CN=b":                 "error",
		"/C=x/CN=bot":               "error",
		"CN=bot\x00,O=x":            "error",
		"CN=\xff":                   "error",
		"XCN=bot":                   "error",
		"CN =bot":                   "error",
		strings.Repeat("O=x,", 600): "error",
	} {
		got, err := cert.DNValue(dn, "CN")
		if err != nil {
			got = "error"
			if r := rule.Of(err); r != rule.DN && r != rule.CertName {
				t.Errorf("%q: got %v, want a rule", dn, err)
			}
		}
		if got != want {
			t.Errorf("%q: got %q, %v, want %q", dn, got, err, want)
		}
	}
}

func TestNamesOfCertificates(t *testing.T) {
	ca := authtest.NewCA("Fake CA")
	uri := authtest.URI
	for name, c := range map[string]struct {
		from   cert.From
		change func(*x509.Certificate)
		want   string
	}{
		"common name":   {cert.FromCN, nil, "/robot"},
		"DNS":           {cert.FromDNS, func(c *x509.Certificate) { c.DNSNames = []string{"robot.test"} }, "/robot.test"},
		"DNS, capital":  {cert.FromDNS, func(c *x509.Certificate) { c.DNSNames = []string{"Robot.test"} }, ""},
		"DNS, rooted":   {cert.FromDNS, func(c *x509.Certificate) { c.DNSNames = []string{"robot.test."} }, ""},
		"no DNS":        {cert.FromDNS, nil, ""},
		"two DNS names": {cert.FromDNS, func(c *x509.Certificate) { c.DNSNames = []string{"a.test", "b.test"} }, ""},
		"SPIFFE":        {cert.FromSPIFFE, uri("spiffe://prod.test/robot"), "prod.test/robot"},
		"no URI":        {cert.FromSPIFFE, nil, ""},
		"another URI":   {cert.FromSPIFFE, uri("https://prod.test/robot"), ""},
		"escaped URI":   {cert.FromSPIFFE, uri("spiffe://prod.test/rob%2Fot"), ""},
		"two URIs": {cert.FromSPIFFE, func(c *x509.Certificate) {
			uri("spiffe://prod.test/a")(c)
			uri("spiffe://prod.test/b")(c)
		}, ""},
		"SPIFFE of a CA": {cert.FromSPIFFE, func(c *x509.Certificate) {
			uri("spiffe://prod.test/robot")(c)
			c.IsCA, c.BasicConstraintsValid = true, true
		}, ""},
		"SPIFFE that signs": {cert.FromSPIFFE, func(c *x509.Certificate) {
			uri("spiffe://prod.test/robot")(c)
			c.KeyUsage |= x509.KeyUsageCRLSign
		}, ""},
		"nothing configured": {"", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tenant, subject, err := cert.Name(ca.Client("robot", c.change).Cert, c.from, principal.SPIFFE{})
			if (err != nil) != (c.want == "") {
				t.Fatalf("got %v", err)
			}
			if got := tenant + "/" + subject; err == nil && got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestVerdictsEndWithTheirReasons(t *testing.T) {
	dir, ca := t.TempDir(), authtest.NewCA("Fake CA")
	file := func(name string, data []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	chain, key := ca.Server().PEM()
	l := cert.Listener{
		CertFile: file("crt", chain), KeyFile: file("key", key), ClientAuth: "require",
		ClientCAFile: file("ca", ca.PEM()), CRLFile: file("crl", ca.CRL(time.Hour)),
	}
	s, err := cert.NewServer(l)
	if err != nil {
		t.Fatal(err)
	}
	leaf := []*x509.Certificate{ca.Client("robot", nil).Cert}
	now := time.Now()
	for _, step := range []struct {
		after time.Duration
		want  error
	}{{0, nil}, {time.Minute, nil}, {2 * time.Hour, rule.CertNoCRL}, {48 * time.Hour, rule.CertTime}, {0, nil}} {
		if _, err := s.Verify(leaf, now.Add(step.after)); !errors.Is(err, step.want) {
			t.Errorf("after %v: got %v, want %v", step.after, err, step.want)
		}
	}
	file("crl", authtest.NewCA("Fake CA").CRL(time.Hour)) // of our name, not of our key
	if _, err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(leaf, now); !errors.Is(err, rule.CertNoCRL) {
		t.Errorf("a list of another key: got %v", err)
	}
}

// TestReloadsAreHeldToWhatStartsAre: a CA of another name, and a list that is not whole, are
// refused while the gateway serves as well, and what was good before stays.
func TestReloadsAreHeldToWhatStartsAre(t *testing.T) {
	dir, ca := t.TempDir(), authtest.NewCA("Fake CA")
	other := authtest.NewCA("Other CA")
	file := func(name string, data []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	revoked := ca.Client("revoked", nil)
	chain, key := ca.Server().PEM()
	s, err := cert.NewServer(cert.Listener{
		CertFile: file("crt", chain), KeyFile: file("key", key), ClientAuth: "require",
		ClientCAFile: file("ca", ca.PEM()), CRLFile: file("crl", ca.CRL(time.Hour, revoked)), OneName: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func(){
		"ca":  func() { file("ca", append(ca.PEM(), other.PEM()...)) },
		"crl": func() { file("crl", ca.DeltaCRL(time.Hour)) },
	} {
		before, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		write()
		if _, err := s.Reload(); err == nil {
			t.Errorf("%s: it was taken", name)
		}
		if _, err := s.Verify([]*x509.Certificate{revoked.Cert}, time.Now()); !errors.Is(err, rule.CertRevoked) {
			t.Errorf("%s: of a revoked certificate it says %v", name, err)
		}
		if _, err := s.Verify([]*x509.Certificate{other.Client("robot", nil).Cert}, time.Now()); err == nil {
			t.Errorf("%s: a certificate of another CA is good", name)
		}
		file(name, before)
	}
}

func FuzzDN(f *testing.F) {
	for _, s := range []string{"CN=bot,O=x", `CN=a\,b`, `CN=\2c`, "CN=#00", "O=x+CN=y", `CN="x"`, "/CN=x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, dn string) {
		v, err := cert.DNValue(dn, "CN")
		if err != nil {
			if rule.Of(err) == "" {
				t.Errorf("%q: got %v, want a rule", dn, err)
			}
			return
		}
		if strings.ContainsAny(v, `,+"\;<>=`) && !strings.Contains(dn, `\`) && !strings.Contains(v, "=") {
			t.Errorf("%q: got %q without an escape", dn, v)
		}
		if len(v) > 600 {
			return // escaped it is longer than a name may be
		}
		if again, err := cert.DNValue("CN="+escape(v)+",O=x", "CN"); err != nil || again != v {
			t.Errorf("%q: written again it is %q, %v", v, again, err)
		}
	})
}

// escape writes every byte of a value in hex.
func escape(s string) (out string) {
	for i := range len(s) {
		out += fmt.Sprintf(`\%02x`, s[i])
	}
	return out
}

func Example() {
	fmt.Println(cert.DNValue(`CN=build-bot,OU=ci,O=Example`, "CN"))
	fmt.Println(cert.DNValue(`CN=bot\,CN\=root,O=Example`, "CN"))
	fmt.Println(cert.DNValue(`/O=Example/CN=bot`, "CN"))
	// Output:
	// build-bot <nil>
	// bot,CN=root <nil>
	//  cert.dn: attribute name
}
