package policycmd

import (
	"context"
	"errors"
	"fmt"
	"io"

	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/check"
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
	prog, r, err := check.Policy(ctx, core, team, p.checks())
	if err != nil {
		return err
	}
	if err := r.Findings.Err(); err != nil {
		for _, f := range r.Findings {
			fmt.Fprintln(p.Out, f)
		}
		return ErrFound
	}
	raw, err := bundle.Sign(team, o.Sequence, o.KeyID, o.Key)
	if err != nil {
		return err
	}
	if _, err := archive.Write(raw); err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	_, err = fmt.Fprintf(p.Out, "signed by %s: revision %s, sequence %d, %d bytes\n", o.KeyID, prog.Revision, o.Sequence, len(raw))
	return err
}
