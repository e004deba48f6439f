package native

import "bytes"

// secretKeys are the ends of names whose values are secrets, in lower case
// without - and _.
func secretKeys() []string {
	return []string{
		"password", "passwd", "pwd", "passphrase", "secret", "secretid", "token", "apikey", "privatekey", "secretkey",
		"accesskey", "signingkey", "encryptionkey", "authorization", "cookie", "credential", "credentials", "unsealkey", "dsn",
	}
}

// names finds endings by their last two letters, which rule out most names.
type names [32][32][]string

func newNames(endings []string) *names {
	n := new(names)
	for _, e := range endings {
		list := &n[letter(e[len(e)-2])][letter(e[len(e)-1])]
		*list = append(*list, e)
	}
	return n
}

// letter gives each letter a number, whatever its case, and all else another.
func letter(c byte) byte {
	if c |= 0x20; c >= 'a' && c <= 'z' {
		return c - 'a'
	}
	return 31
}

// secret tells whether a value with this name is to be removed.
func (n *names) secret(name []byte) bool {
	if len(name) < 2 {
		return false
	}
	for _, e := range n[letter(name[len(name)-2])][letter(name[len(name)-1])] {
		if endsWith(name, e) {
			return true
		}
	}
	return false
}

// endsWith ignores case, and - and _ in the name.
func endsWith(name []byte, ending string) bool {
	for i, k := len(name)-1, len(ending)-1; k >= 0; i-- {
		if i < 0 {
			return false
		}
		c := name[i]
		if c == '-' || c == '_' {
			continue
		}
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != ending[k] {
			return false
		}
		k--
	}
	return true
}

// maxKey is how far back the name of a value is looked for.
const maxKey = 64

// colon handles "name": value in JSON of any depth, name: value in plain text,
// and the password of a URL.
func (s *scanner) colon(i int) int {
	if bytes.HasPrefix(s.text[i:], []byte("://")) {
		return s.url(i)
	}
	end := i
	for end > s.last && s.text[end-1] == ' ' {
		end--
	}
	s.work += i - end
	if end == s.last || s.text[end-1] != '"' {
		return s.header(i)
	}
	level := backslashes(s.text, end-1)
	s.work += level + maxKey
	stop := end - 1 - level
	if stop < s.last || !s.names.secret(s.text[max(s.last, stop-maxKey):stop]) {
		return i + 1
	}
	return s.value(i+1, level)
}

// backslashes counts those in front of position i.
func backslashes(text []byte, i int) int {
	n := 0
	for n < i && text[i-1-n] == '\\' {
		n++
	}
	return n
}

// value removes the JSON value at i. The quotes around it have level backslashes.
func (s *scanner) value(i, level int) int {
	from := i
	for i < len(s.text) && (s.text[i] == ' ' || s.text[i] == '\t') {
		i++
	}
	s.work += i - from
	if i >= len(s.text) {
		return i
	}
	switch c := s.text[i]; {
	case c == '"' || c == '\\':
		return s.quoted(i)
	case c == '{' || c == '[':
		return s.replaceWhole(i, s.balanced(i, level), level)
	case c == '-' || c >= '0' && c <= '9':
		return s.replaceWhole(i, s.number(i), level)
	}
	return i // true, false and null say nothing
}

func (s *scanner) replaceWhole(from, to, level int) int {
	quote := string(bytes.Repeat([]byte{'\\'}, level)) + `"`
	return s.cut(from, to, quote+Redacted+quote)
}

// quoted removes what is between the quotes that open at i.
func (s *scanner) quoted(i int) int {
	level := 0
	for i+level < len(s.text) && s.text[i+level] == '\\' {
		level++
	}
	s.work += level
	start := i + level + 1
	if start > len(s.text) || s.text[start-1] != '"' {
		return i + 1
	}
	end := s.closing(start, level)
	if end == start || string(s.text[start:end]) == Redacted {
		return end
	}
	return s.cut(start, end, Redacted)
}

// closing finds where a string ends that opened with level backslashes before
// its quote: the place of the backslashes that belong to its closing quote.
func (s *scanner) closing(i, level int) int {
	for i < len(s.text) {
		q := bytes.IndexByte(s.text[i:], '"')
		if q < 0 {
			break
		}
		i += q
		n := backslashes(s.text, i)
		s.work += q + n
		if ends(n, level) {
			return i - min(n, level)
		}
		i++
	}
	s.work += len(s.text) - min(i, len(s.text))
	return len(s.text)
}

// ends tells whether a quote behind n backslashes closes a string that opened
// behind level ones. Each level of JSON in JSON halves the run; a quote that
// closes an outer string ends the inner one as well.
func ends(n, level int) bool {
	for ; level > 0; level = (level - 1) / 2 {
		if n%2 == 0 {
			return true
		}
		n = (n - 1) / 2
	}
	return n%2 == 0
}

// balanced finds the end of the object or array at i.
func (s *scanner) balanced(i, level int) int {
	from := i
	defer func() { s.work += i - from }()
	for depth := 0; i < len(s.text); i++ {
		switch s.text[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		case '"':
			i = s.closing(i+1, level) + level
		}
	}
	return len(s.text)
}

func (s *scanner) number(i int) int {
	end := i
	for end < len(s.text) && bytes.IndexByte([]byte("0123456789+-.eE"), s.text[end]) >= 0 {
		end++
	}
	s.work += end - i
	return end
}
