package obs_test

import (
	"context"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/obs"
)

func readyz(ctx context.Context, h *obs.Health) int {
	w := httptest.NewRecorder()
	h.Readyz(w, httptest.NewRequest("GET", "/readyz", nil).WithContext(ctx))
	return w.Code
}

// TestAProbeThatIsGivenUpSaysNothing: whoever asks and hangs up makes the gateway
// unready for nobody.
func TestAProbeThatIsGivenUpSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &obs.Health{Vault: func(ctx context.Context) error {
			select {
			case <-time.After(100 * time.Millisecond):
				return nil
			case <-ctx.Done():
				return call.Wrap(call.VaultUnavailable, "Vault is not available", ctx.Err())
			}
		}}
		for range 20 {
			gone, leave := context.WithCancel(t.Context())
			time.AfterFunc(10*time.Millisecond, leave)
			readyz(gone, h)
			if got := readyz(t.Context(), h); got != 200 {
				t.Fatalf("the next probe: got %d, want 200", got)
			}
			time.Sleep(time.Second)
		}
	})
}

// TestProbesShareOneLook counts what a thousand probes ask of Vault.
func TestProbesShareOneLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looks atomic.Int32
		h := &obs.Health{Vault: func(context.Context) error {
			looks.Add(1)
			time.Sleep(100 * time.Millisecond)
			return nil
		}}
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				if got := readyz(t.Context(), h); got != 200 {
					t.Errorf("got %d, want 200", got)
				}
			})
		}
		wg.Wait()
		if n := looks.Load(); n != 1 {
			t.Errorf("Vault was asked %d times, want once", n)
		}
	})
}

// TestALookThatPanicsIsNotTheLast: the gateway is not ready after it, and Vault is asked again.
func TestALookThatPanicsIsNotTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		h := &obs.Health{Vault: func(context.Context) error {
			if looks++; looks == 1 {
				panic("first")
			}
			return nil
		}}
		for i, want := range []int{503, 200} {
			if got := readyz(t.Context(), h); got != want {
				t.Errorf("probe %d: got %d, want %d", i, got, want)
			}
			time.Sleep(2 * time.Second)
		}
	})
}

// TestProbesAreAnsweredWhileVaultHangs: the last result stands for a while, then the
// gateway is not ready; no probe waits as long as Vault lets it.
func TestProbesAreAnsweredWhileVaultHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := false
		h := &obs.Health{Vault: func(ctx context.Context) error {
			if hang {
				<-ctx.Done()
				return call.Wrap(call.VaultUnavailable, "Vault is not available", ctx.Err())
			}
			return nil
		}}
		if got := readyz(t.Context(), h); got != 200 {
			t.Fatalf("got %d, want 200", got)
		}
		hang = true
		time.Sleep(2 * time.Second)
		for i, want := range []int{200, 200, 503} {
			if want == 503 {
				time.Sleep(8 * time.Second)
			}
			start := time.Now()
			if got := readyz(t.Context(), h); got != want {
				t.Errorf("probe %d: got %d, want %d", i, got, want)
			}
			if waited := time.Since(start); waited >= time.Second {
				t.Errorf("probe %d waited %v", i, waited) // on the bubble's clock
			}
		}
		synctest.Wait()
		time.Sleep(9 * time.Second)
	})
}
