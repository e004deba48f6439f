package vault

import (
	"errors"
	"net"
	"time"
)

// connectTry is what is known of a connection that was not made in time. On a machine that
// is busy it may come too late although Vault is there, and nothing was sent on it.
type connectTry struct {
	since   time.Time // when the newest try began
	excused bool      // a try has been excused because this process came to it too late
}

// lateConnect is how long a try takes that this process came to too late: connecting is given
// up before (dialTimeout).
const lateConnect = dialTimeout + 300*time.Millisecond

func (u *connectTry) begin() { u.since = time.Now() }

// mayConnectAgain reports whether a connection is worth another try: it was not made in time, and
// either Vault has answered somebody meanwhile, or this process was too slow to see it,
// which excuses one try. A Vault that is away answers nobody and costs no further try.
func (c *Client) mayConnectAgain(u *connectTry, err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	if !ok || !timeout.Timeout() {
		return false
	}
	if c.breaker.AnsweredSince(u.since) {
		return true
	}
	slow := !u.excused && time.Since(u.since) > lateConnect
	u.excused = u.excused || slow
	return slow
}

// connectAgain reports whether a request that was not sent is tried again.
func (t *attempt) connectAgain(err error) bool {
	return t.admitted && !t.sent.Load() && t.caller.Err() == nil && time.Since(t.start) < t.client.timeout &&
		t.client.mayConnectAgain(&t.connect, err)
}
