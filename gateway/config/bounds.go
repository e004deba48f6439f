package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// What a setting may be at most, unless its own check says less. Beyond that it is a slip,
// and what is made of it (a time in nanoseconds, twice a size) would leave its type.
const (
	mostTime  = 10 * 365 * 24 * time.Hour
	mostBytes = 1 << 50 // 1 PiB
	mostCount = 1 << 30
	mostBody  = 1 << 30 // bytes of one request, which is in memory
)

// checkNumbers looks at every number and time among the settings that has no problem yet.
func (c *Config) checkNumbers(p *problems) {
	v, t := reflect.ValueOf(c).Elem(), reflect.TypeFor[Config]()
	for i := range t.NumField() {
		tag := t.Field(i).Tag.Get("cfg")
		if tag == "-" || tag == "" {
			continue
		}
		n := v.Field(i)
		if !n.CanInt() || p.about(tag) {
			continue
		}
		most, said := int64(mostCount), strconv.Itoa(mostCount)
		switch {
		case n.Type() == reflect.TypeFor[time.Duration]():
			most, said = int64(mostTime), "87600h, which is ten years"
		case strings.HasSuffix(tag, "_SECONDS"):
			most, said = int64(mostTime/time.Second), "ten years in seconds"
		case n.Kind() == reflect.Int64:
			most, said = mostBytes, fmt.Sprint(int64(mostBytes))
		}
		p.unless(n.Int() >= 0, "%s: must not be negative", tag)
		p.unless(n.Int() <= most, "%s: more than %s", tag, said)
	}
}

// errRange is of a number that its setting cannot have; whole is of a part of one where
// there are no parts.
var (
	errRange = errors.New("out of range")
	errWhole = errors.New("not whole")
)

// seconds lets a duration be a bare number of seconds.
func seconds(_, to reflect.Type, v any) (any, error) {
	if to != reflect.TypeFor[time.Duration]() {
		return v, nil
	}
	if s, ok := v.(string); ok {
		n, err := strconv.ParseInt(s, 10, 64)
		switch {
		case errors.Is(err, strconv.ErrRange):
			return nil, errRange
		case err != nil:
			return v, nil //nolint:nilerr // it has a unit
		}
		v = n
	}
	n := reflect.ValueOf(v)
	switch {
	case n.CanInt() && n.Type() != to:
		return ofSeconds(float64(n.Int()))
	case n.CanUint():
		return ofSeconds(float64(n.Uint()))
	case n.CanFloat():
		return ofSeconds(n.Float())
	}
	return v, nil
}

// ofSeconds is a time that mostTime is compared with later; what a time cannot be is an
// error here.
func ofSeconds(n float64) (time.Duration, error) {
	n *= float64(time.Second)
	if !(math.Abs(n) < math.MaxInt64) { // NaN is not either
		return 0, errRange
	}
	return time.Duration(math.Round(n)), nil
}

// whole keeps a number from being cut down to what an integer can be.
func whole(_, to reflect.Type, v any) (any, error) {
	if to.Kind() != reflect.Int && to.Kind() != reflect.Int64 || to == reflect.TypeFor[time.Duration]() {
		return v, nil
	}
	n := reflect.ValueOf(v)
	switch {
	case n.CanUint() && n.Uint() > math.MaxInt64, n.CanFloat() && !(math.Abs(n.Float()) < math.MaxInt64):
		return nil, errRange
	case n.CanFloat() && n.Float() != math.Trunc(n.Float()):
		return nil, errWhole
	}
	return v, nil
}
