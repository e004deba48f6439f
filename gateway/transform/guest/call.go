package guest

import (
	"math"
	"runtime"
)

// yieldAt is the fuel above which a call has held its thread long enough that
// others must have their turn before the next one starts.
const yieldAt = 200_000

// In is the input of one call.
type In struct {
	Hook    Hook
	Meta    []byte
	Payload []byte
	// Fuel is the budget, Limit the longest output.
	Fuel  int64
	Limit int
}

// Out tells what a call did.
type Out struct {
	// Changed is false when the guest left its input as it is.
	Changed bool
	Fuel    int64
	// Emitted is what the guest wants to be logged and counted, nil for nothing.
	Emitted *Emitted
}

// Append runs the guest and appends its output to dst. With an error nothing is
// appended, and the error is a [*Fault].
func (m *Module) Append(dst []byte, in In) ([]byte, Out, error) {
	if len(in.Payload)+len(in.Meta) > math.MaxInt32-metaSize {
		return dst, Out{}, &Fault{Code: Input}
	}
	inst, err := m.take()
	if err != nil {
		return dst, Out{}, err
	}
	res, o, err := inst.call(dst, in)
	if o.Fuel > yieldAt {
		runtime.Gosched()
	}
	m.give(inst, err != nil)
	return res, o, err
}

func (in *instance) call(dst []byte, c In) ([]byte, Out, error) {
	in.fuel.Set(uint64(c.Fuel))
	in.in, in.out, in.emitted = [2]uint32{}, [2]uint32{}, nil
	res, changed, err := in.exchange(dst, c)
	o := Out{Changed: changed, Fuel: c.Fuel - int64(in.fuel.Get()), Emitted: in.emitted}
	in.emitted = nil
	return res, o, err
}

func (in *instance) exchange(dst []byte, c In) ([]byte, bool, error) {
	n := metaSize + len(c.Meta) + len(c.Payload)
	p, err := in.reserve(n)
	if err != nil {
		return dst, false, err
	}
	view, _ := in.mem.Read(p, uint32(n))
	writeInput(view, c.Meta, c.Payload)
	in.in = [2]uint32{p, uint32(n)}
	in.stack = [3]uint64{uint64(c.Hook), uint64(p), uint64(n)}
	if err := in.run(in.transform, 3); err != nil {
		return dst, false, err
	}
	return in.collect(dst, in.stack[0], c.Limit)
}

// collect copies the output out of the guest's memory.
func (in *instance) collect(dst []byte, r uint64, limit int) ([]byte, bool, error) {
	p, n := uint32(r>>32), uint32(r)
	switch {
	case r == 0:
		return dst, false, nil
	case p == 0:
		return dst, false, &Fault{Code: guestCode(n)}
	case uint64(n) > uint64(limit):
		return dst, false, &Fault{Code: Output}
	}
	view, ok := in.mem.Read(p, n)
	if !ok {
		return dst, false, &Fault{Code: Bounds}
	}
	in.out = [2]uint32{p, n}
	return append(dst, view...), true, nil
}
