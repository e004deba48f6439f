package server

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"portcullis/gateway/config"
	"portcullis/gateway/files"
	"portcullis/gateway/obs"
)

// Certificate is a certificate that a setting names, the one of its file that ends
// first.
type Certificate struct {
	Setting string
	File    string
	Ends    time.Time
	Err     error // why it could not be read
}

// Certificates are those of the configuration's files.
func Certificates(c config.Config) (out []Certificate) {
	for _, s := range []struct{ setting, file string }{
		{"TLS_CERT_FILE", c.TLSCertFile},
		{"TLS_CLIENT_CA_FILE", c.TLSClientCAFile},
		{"VAULT_CACERT", c.VaultCACert},
		{"VAULT_CLIENT_CERT", c.VaultClientCert},
		{"POLICY_URL_CA", c.PolicyCA},
		{"POLICY_URL_CERT", c.PolicyCert},
		{"AUDIT_SINK_CA", c.AuditSinkCA},
		{"AUDIT_SINK_CERT", c.AuditSinkCert},
	} {
		if s.file == "" {
			continue
		}
		ends, err := firstEnd(s.file)
		out = append(out, Certificate{s.setting, s.file, ends, err})
	}
	return out
}

// firstEnd is when the first certificate of a PEM file ends. Of several authorities,
// that only one has ended may be meant; it is said all the same.
func firstEnd(file string) (ends time.Time, err error) {
	text, err := files.Read(file)
	if err != nil {
		return ends, err
	}
	for block, rest := pem.Decode(bytes.TrimSpace(text)); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return ends, fmt.Errorf("%s: %w", file, err)
		}
		if ends.IsZero() || cert.NotAfter.Before(ends) {
			ends = cert.NotAfter
		}
	}
	if ends.IsZero() {
		return ends, errors.New(file + " has no certificate in PEM")
	}
	return ends, nil
}

// How long before its expiry a certificate is logged as a warning, and as an error.
const (
	expiryWarning = 30 * 24 * time.Hour
	expiryError   = 7 * 24 * time.Hour
	expiryEvery   = 24 * time.Hour
)

// watchCertificates reports certificates that end soon, at the start and once a day,
// until ctx ends.
func (g *Server) watchCertificates(ctx context.Context) {
	t := time.NewTicker(expiryEvery)
	defer t.Stop()
	for {
		WarnOfExpiry(ctx, g.cfg, g.logs.Server)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// WarnOfExpiry logs the certificates that end soon or have ended.
func WarnOfExpiry(ctx context.Context, c config.Config, log *slog.Logger) {
	for _, c := range Certificates(c) {
		left := time.Until(c.Ends)
		if c.Err != nil || left > expiryWarning {
			continue // a file that cannot be read is reported by the part that needs it
		}
		level, what := slog.LevelWarn, "a certificate ends soon: renew it"
		if left < expiryError {
			level = slog.LevelError
		}
		if left < 0 {
			what = "a certificate has ended: renew it"
		}
		log.LogAttrs(ctx, level, what, slog.String("setting", c.Setting), obs.Own("file", c.File),
			slog.String("ends", c.Ends.UTC().Format(time.RFC3339)), slog.Int("days", int(left/(24*time.Hour))))
	}
}

// gaugeCertificates adds the ends of certificates to the metrics.
func (g *Server) gaugeCertificates() {
	for _, c := range Certificates(g.cfg) {
		g.meter.Gauge(fmt.Sprintf("portcullis_certificate_not_after_timestamp_seconds{setting=%q}", c.Setting), func() float64 {
			ends, err := firstEnd(c.File)
			if err != nil {
				return 0
			}
			return float64(ends.Unix())
		})
	}
}
