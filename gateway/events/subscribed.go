package events

import "portcullis/gateway/call"

// Subscribed returns the topics of every caller.
func (l *Log) Subscribed() map[*call.Caller]map[Topic]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	out, byKey := map[*call.Caller]map[Topic]bool{}, map[string]map[Topic]bool{}
	for r := range l.readers {
		ts := byKey[r.caller.Key()]
		if ts == nil {
			ts = map[Topic]bool{}
			byKey[r.caller.Key()], out[r.caller] = ts, ts
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
