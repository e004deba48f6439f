package events

import "portcullis/gateway/call"

// Subscribed returns the topics of every caller, for each whom it calls for.
func (l *Log) Subscribed() map[*call.Caller]map[Topic]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	out, byHolder := map[*call.Caller]map[Topic]bool{}, map[string]map[Topic]bool{}
	for r := range l.readers {
		ts := byHolder[r.caller.Holder()]
		if ts == nil {
			ts = map[Topic]bool{}
			byHolder[r.caller.Holder()], out[r.caller] = ts, ts
		}
		for _, t := range r.topicsOf() {
			ts[t] = true
		}
	}
	for c, ts := range out {
		if len(ts) == 0 {
			delete(out, c)
		}
	}
	return out
}

func (r *Reader) topicsOf() []Topic {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.filter.Topics
}
