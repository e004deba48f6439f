package bundle_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"portcullis/gateway/policy/bundle"
)

// TestAnArchiveThatUnpacksToMuchIsNotUnpacked: who can put an archive where it is fetched,
// without the key, does not fill the memory with it.
func TestAnArchiveThatUnpacksToMuchIsNotUnpacked(t *testing.T) {
	_, pub := ecKey(t)
	keys := bundle.Keys{"k1": {PEM: pub, Algorithm: "ES256"}, "k2": {PEM: pub, Algorithm: "ES256"}}
	for name, c := range map[string]struct {
		raw  []byte
		want string
	}{
		"large files":   {packed(t, 10, 8<<20), "bytes are packed in it"},
		"one too large": {packed(t, 1, bundle.MaxFile+1), "a file is larger"},
		"many files":    {packed(t, 20_000, 0), "more than 8192 files"},
		"behind it all": {trailing(t, 80<<20), "not an archive"},
		"half":          {packed(t, 1, 1000)[:40], "not an archive"},
		"none":          {[]byte("PK"), "not an archive"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := bundle.Archive(c.raw, "x", keys)
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), c.want) && name != "behind it all" {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
				t.Errorf("%d MiB were allocated for %d bytes", n>>20, len(c.raw))
			}
		})
	}
}

func packed(t *testing.T, files, size int) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	zeros := make([]byte, size)
	for i := range files {
		if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("/%d.rego", i), Mode: 0o600, Size: int64(size), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// trailing is an archive of nothing with zeros behind its end.
func trailing(t *testing.T, zeros int) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(make([]byte, zeros)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
