package failclosed

import (
	"errors"
	"sync"
	"sync/atomic"

	"portcullis/gateway/policy/document"
	"portcullis/gateway/policy/program"
)

// trial is one input and what the policy says of it.
type trial struct {
	*runner // with a report of its own
	number  int
	in      raw
	out     document.Output
	err     error           // of the evaluation
	without document.Output // what the embedded rules say alone
	spoil   bool            // its fields are spoilt one by one
}

// each does n things, as many at once as there are workers.
func (r *runner) each(n int, do func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(max(r.Workers, 1), n) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	wg.Wait()
}

// try tries everything on every input. What is found, and in which order, does not depend
// on how many are tried at once.
func (r *runner) try(inputs []raw) {
	trials := make([]*trial, len(inputs))
	var slow atomic.Bool
	r.each(len(inputs), func(i int) {
		trials[i] = r.trial(i, inputs[i])
		if slow.Load() || r.ctx.Err() != nil {
			return // the others are slow as well, perhaps, and each takes its time
		}
		if trials[i].ask(); errors.Is(trials[i].err, program.ErrTimeout) {
			slow.Store(true)
		}
	})
	if !slow.Load() && r.ctx.Err() == nil {
		r.all(trials)
	}
	for _, t := range trials {
		r.add(t.report)
	}
}

func (r *runner) trial(i int, in raw) *trial {
	own := *r
	own.report, own.reported, own.base = Report{Checks: map[string]int{}}, map[place]bool{}, newBase(in)
	return &trial{runner: &own, number: i, in: in}
}

// ask asks the policy, with and without the team's rules.
func (t *trial) ask() {
	t.out, t.err = t.timed(t.in)
	switch {
	case len(t.Program.TeamModules()) == 0:
		t.without = t.out
	case !errors.Is(t.err, program.ErrTimeout):
		t.without = t.answer(t.alone, t.in)
	}
}

// all tries everything on inputs of which the answers are known.
func (r *runner) all(trials []*trial) {
	for i, t := range trials { // in their order, as only some of each kind are spoilt
		t.spoil = i%max(1, len(trials)/r.sampled()) == 0 || !t.out.Allow && r.nearly(t.in, t.without)
	}
	var mu sync.Mutex // guards done
	done := 0
	r.each(len(trials), func(i int) {
		if r.ctx.Err() != nil {
			return
		}
		trials[i].run(len(trials))
		if r.Progress != nil {
			mu.Lock()
			defer mu.Unlock()
			done++
			r.Progress(done, len(trials))
		}
	})
}

// add adds what was found with one input.
func (r *runner) add(one Report) {
	for check, n := range one.Checks {
		r.report.Checks[check] += n
	}
	for _, f := range one.Findings {
		r.found(f)
	}
}
