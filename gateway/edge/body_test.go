package edge_test

import (
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"portcullis/gateway/edge"
)

// TestABodyTakesWhatHasCome: what a client has announced and does not send is not
// allocated, however much of it has come.
func TestABodyTakesWhatHasCome(t *testing.T) {
	const came = 200 << 10
	r := &http.Request{ContentLength: 1 << 30, Body: io.NopCloser(io.MultiReader(
		strings.NewReader(strings.Repeat("x", came)), iotest.ErrReader(errors.New("it has stopped")),
	))}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := edge.ReadAll(r)
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; err == nil || took > 2*came {
		t.Errorf("%d bytes allocated for %d, %v", took, came, err)
	}
}
