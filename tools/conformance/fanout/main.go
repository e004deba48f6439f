// Command fanout measures what event streams cost a running gateway: thousands of
// readers, a steady rate of writes that each reach a few of them, and then the
// same beside readers that never read. It prints the latency of the writes in both
// phases, the gateway's memory per stream, and what is left when all have gone.
//
//	fanout --url http://127.0.0.1:8089 --pid 1234
//
// The gateway needs a rate limit that lets the writes through.
package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"
)

// load is what is asked for.
type load struct {
	url, key            string
	pid                 int
	readers, dead, hot  int
	rate                int
	each                time.Duration
	client              *http.Client
	live                sync.WaitGroup
	mu                  sync.Mutex // guards heard
	heard               int
	stopLive, closeDead func()
}

// settle is the pause between opening streams and measuring.
const settle = 3 * time.Second

func main() {
	l := &load{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	flag.StringVar(&l.url, "url", "http://127.0.0.1:8089", "address of the gateway")
	flag.StringVar(&l.key, "api-key", "dev-api-key", "API key")
	flag.IntVar(&l.pid, "pid", 0, "process id of the gateway, for its memory")
	flag.IntVar(&l.readers, "readers", 5000, "streams that are read")
	flag.IntVar(&l.dead, "dead", 500, "streams that are never read, in the second phase")
	flag.IntVar(&l.hot, "hot", 50, "secrets that are written; each has ten readers, the others are idle")
	flag.IntVar(&l.rate, "rate", 200, "writes in a second")
	flag.DurationVar(&l.each, "each", 30*time.Second, "length of a phase")
	flag.Parse()
	if err := l.run(); err != nil {
		fmt.Fprintln(os.Stderr, "fanout:", err)
		os.Exit(1)
	}
}

func (l *load) run() error {
	if _, err := l.write(0); err != nil {
		return err
	}
	before := l.memory()
	if err := l.openReaders(); err != nil {
		return err
	}
	idle := l.memory()
	fmt.Printf("%d streams: %.1f KiB each\n", l.readers, float64(idle-before)/1024/float64(l.readers))
	time.Sleep(settle)
	alone := l.phase("no dead readers")
	if err := l.openDead(); err != nil {
		return err
	}
	time.Sleep(settle) // opening streams is not what is measured
	beside := l.phase(fmt.Sprintf("%d dead readers", l.dead))
	fmt.Printf("p99 ratio %.2f; cut off %s\n", beside.Seconds()/alone.Seconds(), l.metric("portcullis_event_streams_cut_off_total"))
	l.closeDead()
	l.stopLive()
	l.live.Wait()
	for range 50 {
		if l.metric("portcullis_event_streams") == "0" {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	fmt.Printf("after: %s streams, %s goroutines, memory %+.1f MiB\n",
		l.metric("portcullis_event_streams"), l.metric("go_goroutines"), float64(l.memory()-before)/(1<<20))
	return nil
}

// phase writes at the rate and prints how long the writes took. Writes do not wait
// for each other, so a slow one does not hide others.
func (l *load) phase(name string) time.Duration {
	var mu sync.Mutex
	var took []time.Duration
	var failed int
	var why error
	var wg sync.WaitGroup
	l.mu.Lock()
	l.heard = 0
	l.mu.Unlock()
	tick := time.NewTicker(time.Second / time.Duration(l.rate))
	defer tick.Stop()
	n := int(l.each.Seconds()) * l.rate
	for i := range n {
		<-tick.C
		wg.Go(func() {
			d, err := l.write(i % l.hot)
			mu.Lock()
			defer mu.Unlock()
			if took = append(took, d); err != nil {
				failed, why = failed+1, err
			}
		})
	}
	wg.Wait()
	time.Sleep(time.Second) // let the last events arrive
	if why != nil {
		fmt.Println("the last failure:", why)
	}
	slices.Sort(took)
	l.mu.Lock()
	defer l.mu.Unlock()
	p99 := took[len(took)*99/100]
	fmt.Printf("%s: %d writes, %d failed, p50 %v, p99 %v, %d events heard of %d\n",
		name, n, failed, took[n/2].Round(time.Microsecond), p99.Round(time.Microsecond), l.heard, 10*n)
	return p99
}
