// Package policies is the policy that every gateway has: package gateway in Rego,
// its default data and its schemas. A directory of one's own adds to it and
// cannot change it.
package policies

import (
	"embed"
	"io/fs"
)

//go:embed data.yaml gateway schema
var files embed.FS

// Files are the embedded files: gateway/*.rego with its tests, data.yaml and
// schema/*.json.
func Files() fs.FS { return files }
