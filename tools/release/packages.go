package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb"
	_ "github.com/goreleaser/nfpm/v2/rpm"
)

// packages makes a deb and an rpm for each architecture, from tools/deploy/package.
func packages(o options, programs []program) error {
	for _, p := range programs {
		vars := map[string]string{"VERSION": o.version, "ARCH": p.arch, "BINARY": p.file, "ROOT": o.root}
		for _, format := range []string{"deb", "rpm"} {
			if err := pack(o, format, vars); err != nil {
				return fmt.Errorf("%s for %s: %w", format, p.arch, err)
			}
		}
	}
	return nil
}

func pack(o options, format string, vars map[string]string) error {
	c, err := nfpm.ParseFileWithEnvMapping(filepath.Join(o.root, "tools/deploy/package/nfpm.yaml"), func(name string) string { return vars[name] })
	if err != nil {
		return err
	}
	info, err := c.Get(format)
	if err != nil {
		return err
	}
	info.MTime = o.time
	for _, s := range []*string{&info.Scripts.PreInstall, &info.Scripts.PostInstall, &info.Scripts.PreRemove, &info.Scripts.PostRemove} {
		*s = filepath.Join(o.root, *s)
	}
	for _, f := range info.Contents {
		f.FileInfo.MTime = o.time
	}
	if err := nfpm.PrepareForPackager(info, format); err != nil {
		return err
	}
	packager, err := nfpm.Get(format)
	if err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(o.out, packager.ConventionalFileName(info)))
	if err != nil {
		return err
	}
	if err := packager.Package(info, f); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
