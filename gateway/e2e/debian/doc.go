// Package debian installs the package that make release makes in a root file system of its
// own, uses it, upgrades it and removes it, with dpkg (make deploy). Its test has the build
// tag debian, because it needs root and Debian.
package debian
