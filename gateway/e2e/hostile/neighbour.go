package hostile

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// marker is the secret of the honest caller; every answer must be that.
const marker = "the secret of an honest caller"

// atOnce bounds the honest calls that wait for an answer, far below what the gateway
// lets one caller have waiting: a machine that is busy with other things makes them
// late, and not refused.
const atOnce = 64

// Noticed is what an honest caller noticed.
type Noticed struct {
	Calls  int
	Failed []string // what was wrong with each call that failed
	// P99 and Max are from the moment at which a call was due, so that a call
	// that could not be sent in time counts as slow.
	P99, Max time.Duration
}

// Honest makes calls at a fixed rate; see Steady.
func (g *Gateway) Honest(ctx context.Context, rate int, d time.Duration) Noticed {
	return Steady(ctx, rate, d, func(ctx context.Context, _ int) error { return g.honestCall(ctx) })
}

// Steady makes calls at a fixed rate, whether earlier ones have been answered or
// not, up to atOnce of them. call gets the number of the call, from 0.
func Steady(ctx context.Context, rate int, d time.Duration, call func(context.Context, int) error) Noticed {
	var n Noticed
	var mu sync.Mutex // guards n and took
	var took []time.Duration
	var wg sync.WaitGroup
	start := time.Now()
	places := make(chan struct{}, atOnce)
	for i := range int(d.Seconds() * float64(rate)) {
		due := start.Add(time.Duration(i) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		places <- struct{}{}
		wg.Go(func() {
			err := call(ctx, i)
			<-places
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(due))
			if err != nil {
				n.Failed = append(n.Failed, err.Error())
			}
		})
	}
	wg.Wait()
	slices.Sort(took)
	if n.Calls = len(took); n.Calls > 0 {
		n.P99, n.Max = took[n.Calls*99/100], took[n.Calls-1]
	}
	return n
}

func (g *Gateway) honestCall(ctx context.Context) error {
	status, body, err := g.send(ctx, honest, http.MethodGet, "")
	if err == nil && (status != http.StatusOK || !bytes.Contains(body, []byte(marker))) {
		err = fmt.Errorf("answered %d: %s", status, body)
	}
	return err
}
