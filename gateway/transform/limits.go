package transform

import "portcullis/gateway/transform/guest"

// The budget of a call: a base, an amount for each byte of input, and a ceiling.
// The ceiling is what bounds the latency of everybody, because nothing can
// interrupt a guest: at the slowest rate that was found, about 300 units per
// microsecond, it is some 25 ms.
const (
	fuelBase    = 400_000
	fuelPerByte = 400
	fuelLog     = 2_000_000
	fuelCall    = 8_000_000
	// maxFuel is the most that a manifest can ask for.
	maxFuel = 200_000_000

	inputLog  = 64 << 10
	inputCall = 1 << 20

	// maxArgs bounds the arguments of one obligation, maxSteps the plan.
	maxArgs  = 4 << 10
	maxSteps = 8
)

// fuel is the budget for an input of n bytes.
func (l *Limits) fuel(h guest.Hook, n int) int64 {
	limit := l.Fuel
	if limit == 0 && h == guest.Log {
		limit = fuelLog
	} else if limit == 0 {
		limit = fuelCall
	}
	if l.Fuel != 0 {
		return limit
	}
	return min(fuelBase+fuelPerByte*int64(n), limit)
}

func (l *Limits) input(h guest.Hook) int {
	switch {
	case l.Input > 0:
		return l.Input
	case h == guest.Log:
		return inputLog
	}
	return inputCall
}

func (l *Limits) output(h guest.Hook, n int) int {
	switch {
	case l.Output > 0:
		return l.Output
	case h == guest.Log:
		return 2*n + 4<<10
	}
	return 2*n + 64<<10
}

// pages is the memory: small for logs, where every instance is kept per
// processor, unless the guest brings a runtime.
func (e *Entry) pages() uint32 {
	if e.Limits.Pages > 0 || e.WASI == "stub" {
		return e.Limits.Pages
	}
	if len(e.Hooks) == 1 && e.Hooks[0] == guest.Log.String() {
		return 16
	}
	return 128
}
