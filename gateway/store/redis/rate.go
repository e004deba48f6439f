package redis

import (
	"context"
	"errors"
	"time"

	"portcullis/gateway/limit"
)

// spendSource is the GCRA of limit.Memory, by Redis' clock. A bucket is the microsecond at which
// it is full again; a full one is not kept. Numbers stay below 2^53, so Lua's are exact.
const spendSource = `
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local cost, burst, interval = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local after = full + cost * interval
local retry = after - now - burst * interval
if cost > 0 and retry > 0 then
  return {full - now, retry}
end
if cost > 0 then
  redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
end
return {after - now, 0}`

// errNoAnswer says that a script has answered something else than it says.
var errNoAnswer = errors.New("the answer of the script is not of its form")

// Spend implements limit.Spend for all replicas.
func (s *Store) Spend(k limit.Key, c limit.Charge, _ time.Time) (level limit.Level, err error) {
	err = s.do(context.Background(), func(ctx context.Context) error {
		us, err := s.spend.Run(ctx, s.client, []string{s.key("rate", k.Caller, k.Tier)}, c.Cost, c.Burst, c.Interval.Microseconds()).Int64Slice()
		if err != nil {
			return err
		}
		if len(us) != 2 {
			return errNoAnswer
		}
		level = limit.Level{Full: time.Duration(us[0]) * time.Microsecond, Retry: time.Duration(us[1]) * time.Microsecond}
		return nil
	})
	return level, err
}
