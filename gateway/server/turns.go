package server

import (
	"runtime"
	"time"

	"portcullis/gateway/budget/gate"
)

// takeTurns lets those who have sent or get much be worked for in turns, by caller: at
// most on all processors but one, which is for the many calls that need little. A large
// request keeps a processor for tens of milliseconds, and a small one that waits for it
// has to wait at each of its steps. Beside others that call Vault a caller works a quarter
// of the time at most.
func (g *Server) takeTurns() {
	most := max(1, runtime.GOMAXPROCS(0)-1)
	g.work = &gate.Gate{Total: most, Each: (most + 1) / 2, Queue: 1024, Wait: 10 * time.Second, Rest: 3, Presence: &g.presence}
	g.meter.Gauge("portcullis_turns_taken", func() float64 { n, _ := g.work.Load(); return float64(n) })
	g.meter.Gauge("portcullis_turns_waiting", func() float64 { _, n := g.work.Load(); return float64(n) })
}
