package inspect

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"portcullis/gateway/audit"
)

// Files reads the lines of files of evidence, oldest first; those whose name ends in
// .gz are decompressed on the way. No more than a line is kept.
type Files struct {
	Names    []string
	Since    time.Time                      // files that end before are passed over; zero for none
	Until    time.Time                      // files that begin later are; zero for none
	Progress func(lines int, bytes int64)   // is called now and then. Optional
	Skipped  func(file string, line, n int) // is told of a file's lines that are no records: the first, and how many there are. Optional
}

// slack is how far the times of neighbouring lines may be out of order: they are taken
// before their callers wait for the disk.
const slack = time.Minute

// errEnough ends the reading of a file early.
var errEnough = errors.New("enough")

// Each passes every record on, with its line, which is valid during the call.
func (f Files) Each(each func(r *Record, line []byte) error) error {
	lines, size := 0, int64(0)
	for i, name := range f.Names {
		if f.passOver(i) {
			continue
		}
		var bad skipped
		err := eachLine(name, func(n int, s *audit.Scanner) error {
			lines++
			if size += s.Size() + 1; f.Progress != nil && lines%1024 == 0 {
				f.Progress(lines, size)
			}
			r, err := ParseRecord(s.Bytes())
			if err != nil {
				bad.add(n)
				return nil
			}
			return each(&r, s.Bytes())
		})
		if bad.n > 0 && f.Skipped != nil {
			f.Skipped(name, bad.first, bad.n)
		}
		if errors.Is(err, errEnough) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// skipped are lines of a file that are no records.
type skipped struct{ first, n int }

func (s *skipped) add(line int) {
	if s.n++; s.n == 1 {
		s.first = line
	}
}

func eachLine(name string, each func(n int, s *audit.Scanner) error) error {
	in, err := audit.OpenSegment(name)
	if err != nil {
		return Usage{err}
	}
	s := audit.NewScanner(in)
	for n := 1; err == nil && s.Scan(); n++ {
		err = each(n, s)
	}
	if err == nil && s.Err() != nil {
		err = fmt.Errorf("%s cannot be read to its end: %w", name, s.Err())
	}
	if cerr := in.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("%s: %w", name, cerr)
	}
	return err
}

// passOver tells whether a file has no line of the time that is asked for, by the first
// lines of it and of the next one.
func (f Files) passOver(i int) bool {
	if !f.Since.IsZero() && i+1 < len(f.Names) {
		if next := firstTime(f.Names[i+1]); !next.IsZero() && next.Before(f.Since.Add(-slack)) {
			return true
		}
	}
	if f.Until.IsZero() || i == 0 {
		return false
	}
	first := firstTime(f.Names[i])
	return !first.IsZero() && first.After(f.Until.Add(slack))
}

// firstTime is the time of the first record of a file, zero when nothing tells.
func firstTime(name string) (t time.Time) {
	_ = eachLine(name, func(n int, s *audit.Scanner) error { // what cannot be read is read, and fails, later
		r, err := ParseRecord(s.Bytes())
		if err == nil && !r.Time.IsZero() {
			t = r.Time
		}
		if err == nil || n > 16 {
			return errEnough
		}
		return nil
	})
	return t
}

// Exist checks that files are there.
func Exist(files []string) error {
	if len(files) == 0 {
		return Usagef("give files of evidence, oldest first")
	}
	for _, f := range files {
		st, err := os.Stat(f)
		if err != nil {
			return Usage{err}
		}
		if st.IsDir() {
			return Usagef("%s is a directory: give the files in it, oldest first", f)
		}
	}
	return nil
}

// Moment reads a point in time: how long ago (24h, 7d), a day (2026-11-24) or RFC 3339.
func Moment(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := parseAgo(text); err == nil {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, Usagef("%q is no time: give how long ago (30m, 24h, 7d), a day (2026-11-24) or RFC 3339 (2026-11-24T08:00:00Z)", text)
}

func parseAgo(text string) (time.Duration, error) {
	if number, ok := strings.CutSuffix(text, "d"); ok {
		if days, err := strconv.ParseUint(number, 10, 16); err == nil {
			return time.Duration(days) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, errors.New("no duration")
	}
	return d, nil
}
