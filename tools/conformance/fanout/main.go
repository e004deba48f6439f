// Command fanout measures what event streams cost a gateway, and whether readers
// that never read are felt by those who write: thousands of readers and a steady
// rate of writes, each of which concerns ten of them. In every second phase some of
// the readers never read. Phases with and without them take turns in one process, so
// that what else the machine does falls on both.
//
//	fanout                                   on a gateway and a dev Vault of its own
//	fanout --url http://127.0.0.1:8089 --pid 1234
//
// It prints the latency of the writes in each phase, the ratios of their p99, how
// many dead readers were cut off, the gateway's memory per stream, and what is left
// when all have gone. It fails when a write failed, a dead reader was not cut off or
// something is left. A gateway given by --url needs a rate limit that lets the
// writes through.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// load is what is asked for.
type load struct {
	url, key           string
	pid                int
	readers, dead, hot int
	rate, rounds       int
	each               time.Duration
	client             *http.Client
	live               sync.WaitGroup
	mu                 sync.Mutex // guards heard
	heard              int
}

// settle is the pause between opening or closing streams and measuring.
const settle = 3 * time.Second

func main() {
	l := &load{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	flag.StringVar(&l.url, "url", "", "address of a running gateway; without it one is started")
	flag.StringVar(&l.key, "api-key", "dev-api-key", "API key")
	flag.IntVar(&l.pid, "pid", 0, "process id of a running gateway, for its memory and CPU time")
	flag.IntVar(&l.readers, "readers", 5000, "streams")
	flag.IntVar(&l.dead, "dead", 500, "how many of them are never read, in every second phase")
	flag.IntVar(&l.hot, "hot", 500, "secrets that are written; each has ten readers, the others are idle")
	flag.IntVar(&l.rate, "rate", 200, "writes in a second")
	flag.IntVar(&l.rounds, "rounds", 4, "phases with dead readers; each lies between two without")
	flag.DurationVar(&l.each, "each", 40*time.Second, "length of a phase")
	flag.Parse()
	if l.rounds < 1 || l.hot < 1 || l.rate < 1 || l.dead > l.readers {
		fmt.Fprintln(os.Stderr, "fanout: rounds, hot and rate must be positive, and no more readers dead than there are")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := l.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "fanout:", err)
		os.Exit(1)
	}
}

func (l *load) run(ctx context.Context) error {
	end, err := l.start(ctx)
	defer end()
	if err != nil {
		return err
	}
	for i := range l.hot {
		if _, err := l.write(i); err != nil {
			return err
		}
	}
	before, heap := l.memory(), l.number(heapInUse)
	stopReading, err := l.openReaders(ctx, 0, l.always())
	if err == nil {
		fmt.Printf("%d streams: %.1f KiB each\n", l.always(), float64(l.memory()-before)/1024/float64(l.always()))
		err = l.measure(ctx)
	}
	stopReading()
	l.live.Wait()
	return errors.Join(err, l.leftovers(before, heap))
}

// always is how many streams are read in every phase.
func (l *load) always() int { return l.readers - l.dead }

// measure lets the phases take turns, and compares each with dead readers to the
// two beside it.
func (l *load) measure(ctx context.Context) error {
	var without, with []phase
	p, err := l.allRead(ctx)
	without = append(without, p)
	for i := 0; i < l.rounds && err == nil && ctx.Err() == nil; i++ {
		if p, err = l.someDead(); err != nil {
			break
		}
		with = append(with, p)
		p, err = l.allRead(ctx)
		without = append(without, p)
	}
	if err == nil {
		compare(without, with)
	}
	return errors.Join(err, ctx.Err())
}

// allRead is a phase in which all streams are read.
func (l *load) allRead(ctx context.Context) (phase, error) {
	stop, err := l.openReaders(ctx, l.always(), l.readers)
	defer stop()
	if err != nil {
		return phase{}, err
	}
	time.Sleep(settle) // opening streams is not what is measured
	p, err := l.phase("none dead")
	stop()
	return p, errors.Join(err, l.await(l.always(), "streams were not closed"))
}

// someDead is a phase in which the others are never read.
func (l *load) someDead() (phase, error) {
	closeDead, err := l.openDead()
	defer closeDead()
	if err != nil {
		return phase{}, err
	}
	time.Sleep(settle)
	p, err := l.phase(fmt.Sprintf("%d dead", l.dead))
	return p, errors.Join(err, l.await(l.always(), "dead readers were not cut off"))
}

// await waits until no more than n streams are open.
func (l *load) await(n int, otherwise string) error {
	var open int
	for range 300 {
		if open = l.number("portcullis_event_streams"); open <= n {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("%d %s", open-n, otherwise)
}

// heapInUse counts garbage that has not been collected yet as well.
const heapInUse = "go_memstats_heap_inuse_bytes"

// leftovers shows what is left when all have gone, at once and as the gateway gives memory
// back.
func (l *load) leftovers(before int64, heap int) error {
	err := l.await(0, "streams are left")
	for at := time.Duration(0); ; at += whileGivenBack / 4 {
		fmt.Printf("%v after: %d streams, %s goroutines, heap in use %+.1f MiB, resident %+.1f MiB\n", at, l.number("portcullis_event_streams"),
			l.metric("go_goroutines"), float64(l.number(heapInUse)-heap)/(1<<20), float64(l.memory()-before)/(1<<20))
		if at >= whileGivenBack || err != nil {
			return err
		}
		time.Sleep(whileGivenBack / 4)
	}
}

// whileGivenBack is how long memory is looked at when all have gone.
const whileGivenBack = time.Minute
