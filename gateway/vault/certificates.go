package vault

import (
	"context"
	"slices"
	"time"

	"portcullis/gateway/vault/leases"
)

// Certificate is a certificate of the caller's.
type Certificate = leases.Certificate

// NoteCertificate keeps that a certificate was issued to the caller. It exists whether
// that works or not, so what does not is a warning.
func (s *Session) NoteCertificate(ctx context.Context, serial, role string, expires time.Time) {
	one := Certificate{Serial: serial, Holder: s.Caller().Holder(), Mount: s.grant.Terms().Resource.Mount, Role: role, Issued: time.Now().Unix(), Expires: expires.Unix()}
	if err := s.client.registry.AddCertificate(s.partOf(context.WithoutCancel(ctx)), s.Caller().Key(), one); err != nil {
		s.Warn("the certificate could not be noted as yours, so it is on no list")
	}
}

// NoteRevoked keeps that a certificate of the caller's was revoked.
func (s *Session) NoteRevoked(ctx context.Context, serial string) {
	mount := s.grant.Terms().Resource.Mount
	if err := s.client.registry.CertificateRevoked(s.partOf(context.WithoutCancel(ctx)), s.Caller().Key(), mount, serial); err != nil {
		s.Warn("the list of your certificates could not be changed, so it shows the certificate as good")
	}
}

// Certificates are those of the granted mount that were issued to the caller and have not
// ended, oldest first.
func (s *Session) Certificates(ctx context.Context) ([]Certificate, error) {
	all, _, err := s.client.registry.Certificates(s.partOf(ctx), s.Caller().Key())
	mount := s.grant.Terms().Resource.Mount
	return slices.DeleteFunc(all, func(c Certificate) bool { return c.Mount != mount || !c.HeldBy(s.Caller()) }), err
}
