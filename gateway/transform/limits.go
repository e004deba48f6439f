package transform

import (
	"fmt"

	"portcullis/gateway/transform/guest"
)

// The budget of a call: a base, an amount for each byte of input, and a ceiling.
// The ceiling is what bounds the latency of everybody, because nothing can
// interrupt a guest: at the slowest rates that BenchmarkWorstCase finds, 420 to 1,000
// units per microsecond, it is 3 to 7 ms. Guests with a Go runtime are not priced
// for the worst case; they can take some tenths of a second.
const (
	fuelBase    = 400_000
	fuelPerByte = 200
	fuelLog     = 2_000_000
	fuelCall    = 3_000_000
	// A Go runtime spends on more than the guest's own code.
	fuelStubBase    = 5_000_000
	fuelStubPerByte = 5_000
	fuelStub        = 20_000_000
	// maxFuel is the most that a manifest can ask for.
	maxFuel = 200_000_000

	inputLog  = 64 << 10
	inputCall = 1 << 20

	// largeInput is more than the fuel of a call is meant for.
	largeInput = 8 << 10

	// maxArgs bounds the arguments of one obligation, maxSteps the plan.
	maxArgs  = 4 << 10
	maxSteps = 8
)

// InputLimit is the longest payload that a module gets by default.
func InputLimit(h guest.Hook) int { return new(Limits).input(h) }

// fuel is the budget for an input of n bytes.
func (e *Entry) fuel(h guest.Hook, n int) int64 {
	if e.Limits.Fuel != 0 {
		return e.Limits.Fuel
	}
	if e.WASI == "stub" {
		return min(fuelStubBase+fuelStubPerByte*int64(n), fuelStub)
	}
	limit := int64(fuelCall)
	if h == guest.Log {
		limit = fuelLog
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

// Input lays out a call of the module with the budget and the limits that it has
// in the gateway.
func (e *Entry) Input(h guest.Hook, meta, payload []byte) guest.In {
	return guest.In{
		Hook: h, Meta: meta, Payload: payload,
		Fuel: e.fuel(h, len(payload)), Limit: e.Limits.output(h, len(payload)),
	}
}

// GuestConfig is how the module is run.
func (e *Entry) GuestConfig() (guest.Config, error) {
	conf, err := e.configJSON()
	if err != nil {
		return guest.Config{}, fmt.Errorf("config: %w", err)
	}
	return guest.Config{Stub: e.WASI == "stub", Pages: e.pages(), Isolation: guest.Isolation(e.Isolation), Logs: e.Logs, Counters: e.Counters, Init: conf}, nil
}

// pages is the memory: small for logs, where every instance is kept per
// processor, unless the guest brings a runtime.
func (e *Entry) pages() uint32 {
	if e.Limits.Pages > 0 || e.WASI == "stub" {
		return e.Limits.Pages
	}
	if len(e.Hooks) == 1 && e.Hooks[0] == guest.Log.String() {
		return 32
	}
	return 128
}
