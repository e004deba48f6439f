package ops

import (
	"regexp"
	"strconv"
	"time"

	"portcullis/gateway/call"
)

// ttlRE is a duration as Vault takes it (Vault docs, duration format strings), with
// several units in a row as Go has them.
var (
	ttlRE  = regexp.MustCompile(`^([0-9]+(\.[0-9]+)?(s|m|h|d|w))+$`)
	partRE = regexp.MustCompile(`([0-9.]+)(s|m|h|d|w)`)
)

// maxTTL is longer than any certificate authority of Vault's lives.
const maxTTL = 100 * 365 * 24 * time.Hour

// parseTTL reads a life: whole seconds, or a duration such as 90s, 30m, 12h, 1d or 1d12h.
func parseTTL(s string) (time.Duration, error) {
	if _, err := strconv.ParseUint(s, 10, 64); err == nil {
		s += "s"
	}
	if !ttlRE.MatchString(s) {
		return 0, call.Errorf(call.InvalidRequest, "argument ttl: not a duration; wanted are seconds, such as 3600, or 90s, 30m, 12h, 1d")
	}
	units := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour}
	var sum float64
	for _, part := range partRE.FindAllStringSubmatch(s, -1) {
		n, err := strconv.ParseFloat(part[1], 64)
		if err != nil {
			return 0, call.Errorf(call.InvalidRequest, "argument ttl: not a duration")
		}
		sum += n * float64(units[part[2]])
	}
	switch {
	case sum < float64(time.Second):
		return 0, call.Errorf(call.InvalidRequest, "argument ttl: shorter than a second")
	case sum > float64(maxTTL):
		return 0, call.Errorf(call.InvalidRequest, "argument ttl: longer than 100 years")
	}
	return time.Duration(sum), nil
}
