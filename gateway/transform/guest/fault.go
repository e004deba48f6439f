package guest

import "fmt"

// Code says why a call failed, in words from a closed set.
type Code string

// Why a call fails.
const (
	Fuel      Code = "fuel"      // ran out of fuel
	Trap      Code = "trap"      // trapped, or its stack overflowed
	Bounds    Code = "bounds"    // a pointer or length outside its memory
	Alloc     Code = "alloc"     // had no room for the input
	Output    Code = "output"    // output longer than allowed, or not valid for the hook
	Input     Code = "input"     // input longer than allowed
	Result    Code = "result"    // a result code that does not exist
	BadInput  Code = "bad_input" // the guest said so
	BadConfig Code = "bad_config"
	Internal  Code = "internal" // the guest failed by its own account
	Refused   Code = "refused"  // drop the line, deny the call
	Busy      Code = "busy"     // no instance became free in time
	Start     Code = "start"    // a new instance did not start
)

// Fault is a failed call. Its text has no data of the call.
type Fault struct {
	Code Code
	Err  error
}

func (f *Fault) Error() string {
	if f.Err == nil {
		return "guest: " + string(f.Code)
	}
	return fmt.Sprintf("guest: %s: %v", f.Code, f.Err)
}

func (f *Fault) Unwrap() error { return f.Err }

// Own tells whether the guest misbehaved, which the input alone does not make
// it do: such faults count towards quarantine.
func (f *Fault) Own() bool {
	switch f.Code {
	case BadInput, Refused, Input, Busy:
		return false
	}
	return true
}

// guestCode maps a result with a high word of zero.
func guestCode(low uint32) Code {
	switch low {
	case 1:
		return BadInput
	case 2:
		return BadConfig
	case 3:
		return Internal
	case 16:
		return Refused
	}
	return Result
}
