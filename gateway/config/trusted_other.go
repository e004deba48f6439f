//go:build !unix

package config

// trusted believes every file: ownership and mode are told by the system's own
// access lists here.
func trusted(string) error { return nil }
