package redis

import (
	"context"
	"errors"
	"time"

	"portcullis/gateway/limit"
)

// gcraSource is the GCRA of limit.Memory, by Redis' clock. A bucket is the microsecond at which
// it is full again; a full one is not kept, and none is emptier than empty, whatever the tier
// or the clock was. Numbers stay below 2^53, so Lua's are exact.
const gcraSource = `
local function spend(key, t, cost, burst, interval)
  local now = t[1] * 1000000 + t[2]
  local full = math.max(tonumber(redis.call('GET', key) or 0), now)
  full = math.min(full, now + burst * interval)
  local after = full + cost * interval
  local retry = after - now - burst * interval
  if cost > 0 and retry > 0 then
    return full - now, retry
  end
  if cost > 0 then
    redis.call('SET', key, string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
  end
  return after - now, 0
end
`

// spendSource charges a bucket. ARGV: cost, burst, interval.
const spendSource = gcraSource + `
local full, retry = spend(KEYS[1], redis.call('TIME'), tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]))
return {full, retry}`

// errNoAnswer says that a script has answered something else than it says.
var errNoAnswer = errors.New("the answer of the script is not of its form")

// bucket is in the slot of its caller, as the caller's places are.
func (s *Store) bucket(k limit.Key) string { return s.keyIn("rate", k.Caller, hash(k.Tier)) }

// Spend implements limit.Spend for all replicas.
func (s *Store) Spend(k limit.Key, c limit.Charge, _ time.Time) (level limit.Level, err error) {
	err = s.do(context.Background(), func(ctx context.Context) error {
		us, err := s.spend.Run(ctx, s.client, []string{s.bucket(k)}, c.Cost, c.Burst, c.Interval.Microseconds()).Int64Slice()
		if err != nil {
			return err
		}
		if len(us) != 2 {
			return errNoAnswer
		}
		level = levelOf(us)
		return nil
	})
	return level, err
}

// levelOf reads the answer of spend, in microseconds.
func levelOf(us []int64) limit.Level {
	return limit.Level{Full: time.Duration(us[0]) * time.Microsecond, Retry: time.Duration(us[1]) * time.Microsecond}
}
