package leases

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/wire"
)

// Certificate is a certificate that was issued to a caller: Vault knows its serial number
// and not whose it is.
type Certificate struct {
	Serial  string `json:"serial_number"`
	Holder  string `json:"holder,omitempty"` // call.Caller.Holder, empty for the caller alone
	Mount   string `json:"mount"`
	Role    string `json:"role"`
	Issued  int64  `json:"issued"`            // Unix seconds
	Expires int64  `json:"expires"`           // Unix seconds
	Revoked int64  `json:"revoked,omitempty"` // Unix seconds, 0 for not
}

// HeldBy reports whether the certificate was issued to the caller, for whom it calls now.
func (c Certificate) HeldBy(by *call.Caller) bool {
	return c.Holder == by.Holder() || c.Holder == "" && by.Behalf == nil
}

// Bounds of what is kept of certificates: those of one caller that have not ended, the
// newest, and how often a change is tried that others come in between of.
const (
	maxCertificates = 256
	maxTries        = 16
)

// certificates is the one entry with a caller's certificates.
func (r *Registry) certificates(key string) folder {
	return r.folder(key, "certificates/"+callerPath(key))
}

// certificatesReply is what KV version 2 answers to a read of it.
type certificatesReply struct {
	Data struct {
		Certificates []Certificate `json:"certificates"`
	} `json:"data"`
	Metadata metadata `json:"metadata"`
}

// Complete implements wire.Reply.
func (r *certificatesReply) Complete() bool { return r.Metadata.Complete() }

// Certificates are those that were issued to a caller and have not ended, oldest first,
// and the version of their entry.
func (r *Registry) Certificates(ctx context.Context, key string) ([]Certificate, int, error) {
	var reply certificatesReply
	err := r.certificates(key).send(ctx, wire.Request{Method: wire.Get}, "data", wire.WantData(&reply))
	if call.Is(err, call.NotFound) {
		return nil, 0, nil
	}
	now := time.Now().Unix()
	ended := func(c Certificate) bool { return c.Expires <= now }
	return slices.DeleteFunc(reply.Data.Certificates, ended), reply.Metadata.Version, err
}

// AddCertificate keeps a certificate that was just issued to a caller.
func (r *Registry) AddCertificate(ctx context.Context, key string, c Certificate) error {
	return r.changeCertificates(ctx, key, func(all []Certificate) []Certificate {
		all = append(all, c)
		return all[max(0, len(all)-maxCertificates):]
	})
}

// CertificateRevoked marks a certificate of a caller's. One that is not kept stays so.
func (r *Registry) CertificateRevoked(ctx context.Context, key, mount, serial string) error {
	return r.changeCertificates(ctx, key, func(all []Certificate) []Certificate {
		i := slices.IndexFunc(all, func(c Certificate) bool { return c.Mount == mount && c.Serial == serial })
		if i < 0 || all[i].Revoked > 0 {
			return nil
		}
		all[i].Revoked = time.Now().Unix()
		return all
	})
}

// changeCertificates writes what change makes of a caller's certificates, and nothing for
// nil. Whoever comes in between is looked at first.
func (r *Registry) changeCertificates(ctx context.Context, key string, change func([]Certificate) []Certificate) error {
	for try := 1; ; try++ {
		all, version, err := r.Certificates(ctx, key)
		if err != nil {
			return err
		}
		if all = change(all); all == nil {
			return nil
		}
		raw, err := json.Marshal(map[string]any{"data": map[string]any{"certificates": all}, "options": map[string]int{"cas": version}})
		if err != nil {
			return err
		}
		err = r.certificates(key).send(ctx, wire.Request{Method: wire.Put, Body: raw}, "data", wire.WantData(&metadata{}))
		if !call.Is(err, call.CASMismatch) || try == maxTries {
			return err
		}
	}
}
