package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Source says where a configuration is read from.
type Source struct {
	// File is the file that the user named; empty to look for one.
	File string
	// WorkingDir lets the search begin in the working directory. Only a command that
	// an operator starts in a directory of his own may do that: a program that an
	// editor starts runs in whatever project is open, and a file there could send
	// the user's Vault token elsewhere.
	WorkingDir bool
	// Offline is for commands that need no credential for Vault.
	Offline bool
}

// base is the name, without its extension, of a file that is looked for.
const base = "portcullis"

func extensions() []string { return []string{".toml", ".yaml", ".yml", ".json"} }

// find names the configuration file, empty for none: the named one, the one that
// APP_CONFIG_FILE or CONFIG_FILE names, else the first portcullis.toml (.yaml, .yml,
// .json) in the working directory, the user's and the system's configuration
// directory. A file that is found, not named, must belong to the user or to root
// and be writable by nobody else.
func (c *Config) find(s Source) (string, error) {
	if s.File != "" {
		return s.File, nil
	}
	for _, key := range []string{"APP_CONFIG_FILE", "CONFIG_FILE"} {
		name := os.Getenv(key)
		if name == "" {
			continue
		}
		if !s.WorkingDir && !filepath.IsAbs(name) {
			return "", fmt.Errorf("%s: this command reads no file relative to the working directory: name an absolute path", key)
		}
		return name, nil
	}
	if s.WorkingDir {
		c.warnUnread()
	}
	for _, dir := range s.directories() {
		name, err := findIn(dir)
		if name != "" || err != nil {
			return name, err
		}
	}
	return "", nil
}

func (s Source) directories() []string {
	var dirs []string
	if s.WorkingDir {
		dirs = append(dirs, ".")
	}
	if dir, err := os.UserConfigDir(); err == nil && filepath.IsAbs(dir) {
		dirs = append(dirs, filepath.Join(dir, base))
	}
	return append(dirs, filepath.Join("/etc", base))
}

// findIn names the configuration file in a directory. Two of them are an error:
// nobody could tell which one counts.
func findIn(dir string) (string, error) {
	var found []string
	for _, ext := range extensions() {
		name := filepath.Join(dir, base+ext)
		if _, err := os.Stat(name); err == nil {
			found = append(found, name)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("configuration file: %w", err)
		}
	}
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return found[0], trusted(found[0])
	}
	return "", fmt.Errorf("%s: more than one configuration file; keep one, or name it with --config", strings.Join(found, ", "))
}

// warnUnread names files that earlier versions and the service before this one
// read. Many other programs have a file of that name.
func (c *Config) warnUnread() {
	for _, ext := range extensions() {
		if _, err := os.Stat("config" + ext); err == nil {
			c.Warnings = append(c.Warnings, "config"+ext+" in the working directory is not read; if it is meant for portcullis, rename it to "+base+ext+" or name it with --config")
		}
	}
}
