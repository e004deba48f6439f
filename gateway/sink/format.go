package sink

import (
	"bytes"
	"errors"
	"strings"
)

// formatter makes the events of a sink from the lines of evidence. The zero value leaves
// them as they are. What waits is kept as lines, so the hot path formats nothing.
type formatter struct {
	name   string
	append func(dst []byte, format string, line []byte) ([]byte, error)
}

// formatter finds a format by its name.
func (c Config) formatter(name string) (formatter, error) {
	for _, known := range c.Formats {
		if name == known {
			return formatter{name, c.Format}, nil
		}
	}
	if name == "" {
		return formatter{}, nil
	}
	if len(c.Formats) == 0 {
		return formatter{}, errors.New("#format: what is sent there has no format, leave it out")
	}
	return formatter{}, errors.New("#format: must be one of " + strings.Join(c.Formats, ", "))
}

// line appends the event of a line. One that cannot become an event goes as it is: the
// receiver has all that there is.
func (f formatter) line(dst, line []byte) []byte {
	if f.name == "" {
		return append(dst, line...)
	}
	out, err := f.append(dst, f.name, line)
	if err != nil {
		return append(dst, line...)
	}
	return out
}

// lines are the events of lines, each with a newline.
func (f formatter) lines(lines []byte) []byte {
	if f.name == "" {
		return lines
	}
	var out []byte
	for line := range bytes.Lines(lines) {
		out = append(f.line(out, bytes.TrimSuffix(line, []byte{'\n'})), '\n')
	}
	return out
}
