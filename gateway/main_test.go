package main

import (
	"testing"

	"github.com/alecthomas/kong"
)

// TestCommandsAreDeclaredWell: a wrong declaration of one command stops all of them.
func TestCommandsAreDeclaredWell(t *testing.T) {
	if _, err := kong.New(&cli{}, kong.Vars{"version": "test"}); err != nil {
		t.Error(err)
	}
}
