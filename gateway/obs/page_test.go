package obs_test

import (
	"bytes"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"portcullis/gateway/obs"
)

// TestThePageOfMetricsIsMadeForAllWhoAsk: however many ask, it is made a few times a
// second, and whoever asks sees what was there when it asked.
func TestThePageOfMetricsIsMadeForAllWhoAsk(t *testing.T) {
	for name, write := range map[string]func(*obs.Meter, *bytes.Buffer){
		"public": func(m *obs.Meter, b *bytes.Buffer) { m.WritePublic(b) },
		"whole":  func(m *obs.Meter, b *bytes.Buffer) { m.WritePrometheus(b) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := obs.NewMeter()
				var made, now atomic.Int64
				m.Gauge("portcullis_vault_waiting", func() float64 { made.Add(1); return float64(now.Load()) })
				for i := range 5 {
					now.Store(int64(1000 + i))
					var wg sync.WaitGroup
					for range 200 {
						wg.Go(func() {
							var page bytes.Buffer
							write(m, &page)
							if want := "portcullis_vault_waiting 100" + string(rune('0'+i)); !strings.Contains(page.String(), want) {
								t.Errorf("want %s on the page", want)
							}
						})
					}
					wg.Wait()
				}
				if got := made.Load(); got > 10 {
					t.Errorf("made %d times for 5 crowds, want at most twice each", got)
				}
			})
		})
	}
}
