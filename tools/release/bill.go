package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"os"
	"path/filepath"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// bill writes a CycloneDX bill of materials for each program, from what Go's linker has
// noted in it: what is really inside, and not what go.mod would allow.
func bill(o options, programs []program) error {
	for _, p := range programs {
		info, err := buildinfo.ReadFile(p.file)
		if err != nil {
			return err
		}
		body, err := os.ReadFile(p.file)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		b := cdx.NewBOM()
		b.Metadata = &cdx.Metadata{
			Timestamp: o.time.Format(time.RFC3339),
			Component: &cdx.Component{
				Type: cdx.ComponentTypeApplication, Name: "portcullis", Version: o.version, BOMRef: "portcullis",
				Hashes: &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}},
			},
		}
		parts := []cdx.Component{{Type: cdx.ComponentTypeLibrary, Name: "std", Version: info.GoVersion, BOMRef: "std", PackageURL: "pkg:golang/std@" + info.GoVersion[2:]}}
		for _, d := range info.Deps {
			if d.Replace != nil {
				d = d.Replace
			}
			url := "pkg:golang/" + d.Path + "@" + d.Version
			parts = append(parts, cdx.Component{Type: cdx.ComponentTypeLibrary, Name: d.Path, Version: d.Version, BOMRef: url, PackageURL: url})
		}
		b.Components = &parts
		if err := writeBill(filepath.Join(o.out, "portcullis-"+o.version+"-linux-"+p.arch+".cdx.json"), b); err != nil {
			return err
		}
	}
	return nil
}

func writeBill(file string, b *cdx.BOM) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := cdx.NewBOMEncoder(f, cdx.BOMFileFormatJSON).SetPretty(true).Encode(b); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
