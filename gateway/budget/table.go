package budget

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Limit bounds a kind: what one caller may hold, what one address may hold for whom
// nobody has proved anything, and what everybody together may hold. 0 is no bound.
type Limit struct{ Caller, Address, All int64 }

// Table has the limit of each kind.
type Table [kinds]Limit

const mib = 1 << 20

// Defaults are limits that an agent does not meet in ordinary work. README,
// "Budgets", shows them.
func Defaults() Table {
	return Table{
		Requests:      {256, 0, 4096},
		Anonymous:     {0, 64, 512},
		Bytes:         {16 * mib, 4 * mib, 256 * mib},
		Calls:         {128, 0, 4096},
		Sessions:      {64, 0, 10_000},
		Streams:       {128, 0, 16_000},
		Topics:        {1024, 0, 65_536},
		Subscriptions: {1024, 0, 65_536},
		Kept:          {mib, 0, 128 * mib},
		Leases:        {0, 0, 65_536}, // LEASES_PER_CALLER bounds a caller's
		Cache:         {4096, 0, 262_144},
		Evidence:      {16 * mib, 0, 64 * mib},
		Logs:          {mib, 128 << 10, 32 * mib},
	}
}

// Parse changes limits as BUDGETS says it, items of the form kind=caller/address/all.
// A number may end in KiB, MiB or GiB; an empty one leaves the default, 0 is no bound.
// The error names every problem.
func (t Table) Parse(items []string) (Table, error) {
	var problems []error
	for _, item := range items {
		name, text, _ := strings.Cut(item, "=")
		k, ok := kindOf(strings.TrimSpace(name))
		if !ok {
			problems = append(problems, fmt.Errorf("unknown budget %q, want one of %s", name, kindNames()))
			continue
		}
		if err := t[k].parse(text); err != nil {
			problems = append(problems, fmt.Errorf("budget %s: %w", k, err))
		}
	}
	return t, errors.Join(problems...)
}

func (l *Limit) parse(text string) error {
	parts := strings.Split(text, "/")
	if len(parts) != 3 {
		return errors.New("want three numbers, caller/address/all, for example 256/0/4096")
	}
	for i, to := range []*int64{&l.Caller, &l.Address, &l.All} {
		p := strings.TrimSpace(parts[i])
		if p == "" {
			continue
		}
		n, err := number(p)
		if err != nil {
			return err
		}
		*to = n
	}
	return nil
}

func number(s string) (int64, error) {
	unit := int64(1)
	for suffix, size := range map[string]int64{"KiB": 1 << 10, "MiB": mib, "GiB": 1 << 30} {
		if rest, ok := strings.CutSuffix(s, suffix); ok {
			s, unit = strings.TrimSpace(rest), size
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > (1<<53)/unit {
		return 0, fmt.Errorf("%q is not a whole number of things or of bytes (KiB, MiB, GiB)", s)
	}
	return n * unit, nil
}
