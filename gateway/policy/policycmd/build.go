package policycmd

import (
	"context"
	"errors"
	"fmt"
	"io"

	"portcullis/gateway/policy/admission"
	"portcullis/gateway/policy/bundle"
)

// BuildOptions say how an archive is signed.
type BuildOptions struct {
	KeyID    string
	Key      bundle.Key // private key in PEM, and ES256, EdDSA or RS256
	Sequence int64      // must grow with every archive: an older one is refused
}

// Build checks the policy and writes it as a signed archive.
func (p Policy) Build(ctx context.Context, archive io.Writer, o BuildOptions) error {
	core, team, err := p.load()
	if err != nil {
		return err
	}
	if team == nil {
		return errors.New("there is nothing to build: the embedded policy needs no archive")
	}
	prog, r, err := admission.Check(ctx, core, team, p.checks())
	if err != nil {
		return err
	}
	if err := r.Findings.Err(); err != nil {
		return p.found(Checked{Findings: r.Findings})
	}
	raw, err := bundle.Sign(team, o.Sequence, o.KeyID, o.Key)
	if err != nil {
		return err
	}
	if _, err := archive.Write(raw); err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	b := built{o.KeyID, prog.Revision, o.Sequence, len(raw)}
	return p.emit(output{value: b, text: func(w io.Writer) {
		line(w, "signed by %s: revision %s, sequence %d, %d bytes", b.KeyID, b.Revision, b.Sequence, b.Bytes)
	}})
}

// built is the JSON form of Build.
type built struct {
	KeyID    string `json:"key_id"`
	Revision string `json:"revision"`
	Sequence int64  `json:"sequence"`
	Bytes    int    `json:"bytes"`
}
