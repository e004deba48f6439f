package config_test

import (
	"strings"
	"testing"

	"portcullis/gateway/budget"
	"portcullis/gateway/config"
)

func TestBudgets(t *testing.T) {
	t.Setenv("BUDGETS", "streams=7/0/8, bytes=1MiB/1MiB/1MiB")
	t.Setenv("MAX_BODY_BYTES", "2097152")
	c, err := config.Load(config.Source{Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Limits[budget.Streams]; got != (budget.Limit{Caller: 7, All: 8}) {
		t.Errorf("streams: got %v", got)
	}
	if got := c.Limits[budget.Bytes].Address; got != 2<<20 {
		t.Errorf("bytes: got %d, want room for one body of the largest size", got)
	}
	t.Setenv("BUDGETS", "streems=7/0/8,calls=1")
	_, err = config.Load(config.Source{Offline: true})
	for _, want := range []string{"BUDGETS", "streems", "calls"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q named", err, want)
		}
	}
}
