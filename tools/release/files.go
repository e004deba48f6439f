package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"time"
)

// entry is a file or, when its name ends in a slash, a directory of an archive.
type entry struct {
	name string
	mode int64
	uid  int
	body []byte
}

// tarOf is an archive with every entry at one time, in the order given.
func tarOf(at time.Time, entries []entry) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: e.mode, Uid: e.uid, Gid: e.uid, Size: int64(len(e.body)), ModTime: at, Format: tar.FormatPAX, Typeflag: tar.TypeReg}
		if e.name[len(e.name)-1] == '/' {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.body); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}

func gzipped(b []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(w, bytes.NewReader(b)); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}

// archives are tar files with the program, the licence, the documents and what is
// deployed with them.
func archives(o options, programs []program) error {
	for _, p := range programs {
		dir := "portcullis-" + o.version + "-linux-" + p.arch + "/"
		entries := []entry{{name: dir, mode: 0o755}}
		add := func(name, file string, mode int64) error {
			b, err := os.ReadFile(file)
			entries = append(entries, entry{name: dir + name, mode: mode, body: b})
			return err
		}
		if err := add("portcullis", p.file, 0o755); err != nil {
			return err
		}
		for _, name := range []string{"LICENSE", "README.md"} {
			if err := add(name, filepath.Join(o.root, name), 0o644); err != nil {
				return err
			}
		}
		const unit = "systemd/portcullis.service"
		if err := add(unit, filepath.Join(o.root, "tools/deploy", unit), 0o644); err != nil {
			return err
		}
		b, err := tarOf(o.time, entries)
		if err != nil {
			return err
		}
		if b, err = gzipped(b); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(o.out, "portcullis-"+o.version+"-linux-"+p.arch+".tar.gz"), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}
