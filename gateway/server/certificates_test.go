package server_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/config"
	"portcullis/gateway/server"
)

// writeCert writes certificates that end at these times into one file.
func writeCert(t *testing.T, ends ...time.Time) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var text []byte
	for i, end := range ends {
		c := &x509.Certificate{SerialNumber: big.NewInt(int64(i + 1)), NotBefore: end.Add(-365 * 24 * time.Hour), NotAfter: end}
		raw, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})...)
	}
	name := filepath.Join(t.TempDir(), "cert.pem")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestEndsOfCertificatesAreToldAhead: a month before it is a warning, a week before an
// error; a year before nothing is said. Of a chain the first end counts.
func TestEndsOfCertificatesAreToldAhead(t *testing.T) {
	now := time.Now()
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		ends []time.Time
		want string
	}{
		"a year":              {[]time.Time{now.Add(365 * day)}, ""},
		"three weeks":         {[]time.Time{now.Add(365 * day), now.Add(21*day + time.Hour)}, "level=WARN msg=\"a certificate ends soon: renew it\" setting=TLS_CERT_FILE"},
		"three days":          {[]time.Time{now.Add(3*day + time.Hour)}, "level=ERROR msg=\"a certificate ends soon: renew it\""},
		"yesterday":           {[]time.Time{now.Add(-day)}, "level=ERROR msg=\"a certificate has ended: renew it\""},
		"no file to speak of": {nil, ""},
	} {
		var log strings.Builder
		conf := config.Config{TLSCertFile: writeCert(t, c.ends...)}
		server.WarnOfExpiry(context.Background(), conf, slog.New(slog.NewTextHandler(&log, nil)))
		if got := log.String(); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
