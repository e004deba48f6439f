package policy

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/policy/document"
)

// canary lets the shadow candidate decide for a share of the callers, who are always the
// same, on every replica and after a restart. The active policy is asked as well about
// what the candidate has refused or failed to answer; when it would have allowed too much
// of that, the candidate returns to the shadow until there is another one. A nil canary
// decides nothing.
type canary struct {
	share uint64 // of wholeShare
	over  atomic.Pointer[ended]

	mu     sync.Mutex // guards what follows, all since the candidate or the last window began
	asked  int
	denied int // that the active policy would have allowed
	failed int // likewise, where the candidate gave no answer
}

// ended is why a candidate decides no more.
type ended struct {
	revision string
	reason   string
	at       time.Time
}

const wholeShare = 10_000

// What the candidate may do in a window of as many decisions before it returns: a tenth
// of them refused that the active policy allows, or a few that it cannot answer.
const (
	canaryWindow = 200
	canaryDenied = 5 // and more than a tenth
	canaryFailed = 3
)

// newCanary takes a share in percent, 0 for none.
func newCanary(percent float64) *canary {
	share := uint64(percent*wholeShare/100 + 0.5)
	if share == 0 {
		return nil
	}
	return &canary{share: share}
}

// has reports whether the candidate decides for a caller.
func (c *canary) has(who *call.Caller) bool {
	sum := sha256.Sum256([]byte(who.Key()))
	return binary.BigEndian.Uint64(sum[:8])%wholeShare < c.share
}

// of is the policy that decides for a caller.
func (e *Engine) of(who *call.Caller) *snapshot {
	if e.canary == nil || e.shadow == nil || e.canary.over.Load() != nil || !e.canary.has(who) {
		return e.active.Load()
	}
	return e.shadow.candidate.Load()
}

// InForce names what decides: the active policy and, where it decides for some callers,
// the candidate.
func (e *Engine) InForce() string {
	if e.canary == nil || e.shadow == nil || e.canary.over.Load() != nil {
		return e.Revision()
	}
	return e.Revision() + "+" + e.shadow.candidate.Load().Revision
}

// begin lets a new candidate decide.
func (c *canary) begin() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked, c.denied, c.failed = 0, 0, 0
	c.over.Store(nil)
	canaryShare().Set(float64(c.share) / wholeShare)
}

// weigh counts a decision of the candidate: what the active policy would have allowed
// beside it counts against it.
func (c *canary) weigh(r *record, active document.Output, err error) (reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	worse := err == nil && active.Allow && !r.decision.Allow
	c.asked++
	switch code := r.decision.Code; {
	case worse && (code == call.PolicyError || code == call.PolicyTimeout):
		c.failed++
	case worse:
		c.denied++
	}
	switch {
	case c.failed >= canaryFailed:
		reason = fmt.Sprintf("it gave no answer to %d of %d calls that the active policy allows", c.failed, c.asked)
	case c.denied >= canaryDenied && c.denied*10 > c.asked:
		reason = fmt.Sprintf("it refused %d of %d calls that the active policy allows", c.denied, c.asked)
	case c.asked >= canaryWindow:
		c.asked, c.denied, c.failed = 0, 0, 0
	}
	return reason
}

// weigh asks the active policy about a decision of the candidate, after it was answered.
func (e *Engine) weigh(ctx context.Context, r *record) {
	if e.canary.over.Load() != nil {
		return
	}
	in := r.input()
	out, err := e.active.Load().Decide(ctx, &in, time.Second)
	reason := e.canary.weigh(r, out, err)
	if reason == "" || r.snapshot != e.shadow.candidate.Load() {
		return
	}
	e.endCanary(r.snapshot.Revision, reason)
}

// endCanary returns the candidate to the shadow, an empty revision for the one of now. So
// what the active policy newly refuses is refused to everybody, those of the canary
// included.
func (e *Engine) endCanary(revision, reason string) {
	if e.canary == nil || e.shadow == nil {
		return
	}
	if revision == "" {
		revision = e.shadow.candidate.Load().Revision
	}
	if e.canary.over.CompareAndSwap(nil, &ended{revision: revision, reason: reason, at: e.cfg.Now()}) {
		canaryReturns.Inc()
		canaryShare().Set(0)
		e.cfg.Logger.Error("the candidate decides no more; every call is decided by the active policy, until there is another candidate",
			"revision", revision, "cause", reason)
	}
}

// status is what health says of it.
func (c *canary) status() (percent float64, over string) {
	if c == nil {
		return 0, ""
	}
	if e := c.over.Load(); e != nil {
		return 0, fmt.Sprintf("revision %s returned at %s: %s", e.revision, e.at.UTC().Format(time.RFC3339), e.reason)
	}
	return float64(c.share) * 100 / wholeShare, ""
}
