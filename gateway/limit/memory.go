package limit

import (
	"hash/maphash"
	"sync"
	"time"
)

// shards spread the locks.
const shards = 32

// Memory keeps buckets in this process. A bucket is one number, the time at which
// it is full again (the "theoretical arrival time" of GCRA, ITU-T I.371): a full
// bucket needs no memory at all.
type Memory struct {
	seed   maphash.Seed
	max    int // in one shard
	shards [shards]shard
}

type shard struct {
	mu   sync.Mutex // guards full
	full map[Key]time.Time
}

// NewMemory has room for max buckets.
func NewMemory(max int) *Memory {
	m := &Memory{seed: maphash.MakeSeed(), max: (max + shards - 1) / shards}
	for i := range m.shards {
		m.shards[i].full = map[Key]time.Time{}
	}
	return m
}

// Spend implements Spend; it has no errors.
func (m *Memory) Spend(k Key, c Charge, now time.Time) (Level, error) {
	s := m.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	full := s.full[k]
	if full.Before(now) {
		full = now
	}
	if empty := now.Add(time.Duration(c.Burst) * c.Interval); full.After(empty) {
		full = empty // the tier was a slower one
	}
	after := full.Add(time.Duration(c.Cost) * c.Interval)
	if retry := after.Sub(now) - time.Duration(c.Burst)*c.Interval; c.Cost > 0 && retry > 0 {
		return Level{Full: full.Sub(now), Retry: retry}, nil
	}
	if c.Cost > 0 {
		s.keep(k, after, m.max, now)
	}
	return Level{Full: after.Sub(now)}, nil
}

func (m *Memory) shard(k Key) *shard { return &m.shards[maphash.Comparable(m.seed, k)%shards] }

// set makes a bucket as full as another place knows it to be.
func (m *Memory) set(k Key, full, now time.Time) {
	s := m.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(k, full, m.max, now)
}

// keep stores a bucket. When there are too many, the full ones go, which loses
// nothing; when that is not enough, the one that is the nearest to full.
func (s *shard) keep(k Key, full time.Time, max int, now time.Time) {
	if _, there := s.full[k]; !there && len(s.full) >= max {
		s.evict(now)
	}
	s.full[k] = full
}

func (s *shard) evict(now time.Time) {
	var nearest Key
	gone := false
	for k, full := range s.full {
		if !full.After(now) {
			delete(s.full, k)
			gone = true
			continue
		}
		if n, ok := s.full[nearest]; !ok || full.Before(n) {
			nearest = k
		}
	}
	if !gone {
		delete(s.full, nearest)
	}
}
