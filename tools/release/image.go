package main

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// user is who the gateway runs as in a container: nobody that a host knows.
const user = 65532

// image writes dist/image (an OCI layout with an index of every architecture) and, for
// docker load and podman load, dist/image-ARCH.tar. There is nothing in the image but
// the program, certificates of authorities, and three directories that are its own.
func image(o options, programs []program) error {
	tag, err := name.NewTag("portcullis:" + strings.ReplaceAll(o.version, "+", "-"))
	if err != nil {
		return err
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range programs {
		img, err := imageOf(o, p)
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: p.arch}}})
		if err := tarball.WriteToFile(filepath.Join(o.out, "image-"+p.arch+".tar"), tag, img); err != nil {
			return err
		}
	}
	dir := filepath.Join(o.out, "image")
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	_, err = layout.Write(dir, index)
	return err
}

func imageOf(o options, p program) (v1.Image, error) {
	entries, err := rootFS(p)
	if err != nil {
		return nil, err
	}
	b, err := tarOf(o.time, entries)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	if img, err = mutate.AppendLayers(img, layer); err != nil {
		return nil, err
	}
	old, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	return mutate.ConfigFile(img, imageConfig(o, p, old.RootFS))
}

func imageConfig(o options, p program, layers v1.RootFS) *v1.ConfigFile {
	return &v1.ConfigFile{
		OS: "linux", Architecture: p.arch, Created: v1.Time{Time: o.time}, RootFS: layers,
		History: []v1.History{{Created: v1.Time{Time: o.time}, CreatedBy: "tools/release"}},
		Config: v1.Config{
			User: fmt.Sprintf("%d:%d", user, user), Entrypoint: []string{"/portcullis"}, Cmd: []string{"serve"}, WorkingDir: "/var/lib/portcullis",
			Env:          []string{"HOST=0.0.0.0", "LOG_DIR=/var/log/portcullis", "AUDIT_FILE=-", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"},
			ExposedPorts: map[string]struct{}{"8089/tcp": {}},
			StopSignal:   "SIGTERM",
			Labels: map[string]string{
				"org.opencontainers.image.title": "portcullis", "org.opencontainers.image.version": o.version, "org.opencontainers.image.revision": o.commit,
				"org.opencontainers.image.description": "The gate in front of Vault, for agents",
			},
		},
	}
}

// rootFS is everything in the image.
func rootFS(p program) ([]entry, error) {
	binary, err := os.ReadFile(p.file)
	if err != nil {
		return nil, err
	}
	return []entry{
		{name: "etc/", mode: 0o755},
		{name: "etc/passwd", mode: 0o644, body: fmt.Appendf(nil, "portcullis:x:%d:%d::/var/lib/portcullis:/sbin/nologin\n", user, user)},
		{name: "etc/group", mode: 0o644, body: fmt.Appendf(nil, "portcullis:x:%d:\n", user)},
		{name: "etc/portcullis/", mode: 0o755},
		{name: "etc/ssl/", mode: 0o755},
		{name: "etc/ssl/certs/", mode: 0o755},
		{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, body: authorities()},
		{name: "portcullis", mode: 0o755, body: binary},
		{name: "tmp/", mode: 0o1777},
		{name: "var/", mode: 0o755},
		{name: "var/lib/", mode: 0o755},
		{name: "var/lib/portcullis/", mode: 0o700, uid: user},
		{name: "var/log/", mode: 0o755},
		{name: "var/log/portcullis/", mode: 0o700, uid: user},
	}, nil
}

// authorities are the certificates of Mozilla's root programme that hold without
// conditions, as the module names them whose version go.mod fixes.
func authorities() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})
		}
	}
	return out.Bytes()
}
