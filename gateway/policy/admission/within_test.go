package admission_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"portcullis/gateway/policy/admission"
)

// TestWorkThatDoesNotEnd: it is waited for as long as a policy may take, and what it does
// then is said.
func TestWorkThatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, end := &admission.Work{Place: "p"}, make(chan struct{})
		_, err := admission.Within(t.Context(), w, "to compile its rules", func(context.Context) (int, error) {
			w.Now("to run its tests")
			<-end
			return 1, nil
		})
		if err == nil || !strings.Contains(err.Error(), "p: error: it takes longer than 2m0s to run its tests") {
			t.Errorf("got %v", err)
		}
		close(end)
	})
}
