package token

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"portcullis/gateway/auth/rule"
)

// maxDate is the end of the year 9999, which some issuers take for never. A date beyond it
// is a mistake or a trick, and can be written neither as RFC 3339 nor in JSON.
const maxDate = 253402300799

// date returns a NumericDate (RFC 7519 section 2), the zero time when it is absent.
func (b body) date(name string) (time.Time, error) {
	v, ok := b[name]
	if !ok {
		return time.Time{}, nil
	}
	f, ok := v.(float64)
	if !ok || math.IsNaN(f) || f < 0 || f > maxDate {
		return time.Time{}, fmt.Errorf("%w: %s is not a date", rule.ClaimType, name)
	}
	s, frac := math.Modf(f)
	return time.Unix(int64(s), int64(frac*1e9)).UTC(), nil // elsewhere it can be the year 10000
}

// proved is when the caller proved itself to its issuer, the zero time when the
// token does not say so in a form that can be read.
func (b body) proved() time.Time {
	t, err := b.date("auth_time")
	if err != nil || t.Unix() <= 0 {
		return time.Time{}
	}
	return t
}

// dates holds exp, nbf and iat against the clock and returns when the token was
// issued and when it ends.
func (b body) dates(now time.Time, skew time.Duration) (issued, expires time.Time, err error) {
	var nbf time.Time
	for name, to := range map[string]*time.Time{"exp": &expires, "nbf": &nbf, "iat": &issued} {
		if *to, err = b.date(name); err != nil {
			return issued, expires, err
		}
	}
	switch {
	case expires.IsZero():
		err = rule.NoExpiry
	case !now.Before(expires.Add(skew)):
		err = fmt.Errorf("%w: %s ago", rule.Expired, now.Sub(expires).Round(time.Second))
	case nbf.After(now.Add(skew)):
		err = rule.NotYet
	case issued.After(now.Add(skew)):
		err = rule.IssuedLater
	}
	if expires = expires.Add(skew); expires.Unix() > maxDate {
		expires = time.Unix(maxDate, 0).UTC()
	}
	return issued, expires, err
}

// audience reports whether aud names one of ours (RFC 7519 section 4.1.3, RFC
// 8707 section 2): exactly, as a string or in a list of strings.
func (b body) audience(ours []string) error {
	auds, err := b.words("aud", whole)
	if err != nil {
		return fmt.Errorf("%w: %s", rule.Audience, "neither a string nor a list of strings")
	}
	for _, a := range auds {
		if slices.Contains(ours, a) {
			return nil
		}
	}
	return fmt.Errorf("%w: none of %s is ours%s", rule.Audience, strconv.Itoa(len(auds)), almost(ours, auds))
}

// almost says for the log how a name differs from one that would do, when it
// differs in something that people overlook. It repeats nothing of the token.
func almost(ours, theirs []string) string {
	for _, t := range theirs {
		for _, o := range ours {
			switch {
			case strings.TrimRight(t, "/") == strings.TrimRight(o, "/"):
				return fmt.Sprintf("; it differs from %q in the slash at its end", o)
			case strings.EqualFold(t, o):
				return fmt.Sprintf("; it differs from %q in upper and lower case", o)
			case bare(t) == bare(o):
				return fmt.Sprintf("; it differs from %q in its scheme", o)
			}
		}
	}
	return ""
}

func bare(s string) string {
	if _, after, ok := strings.Cut(s, "://"); ok {
		s = after
	}
	return strings.TrimRight(s, "/")
}
