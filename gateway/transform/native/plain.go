package native

import "bytes"

// nameBefore returns the word that ends at i.
func (s *scanner) nameBefore(i int) []byte {
	start := i
	for start > s.last && i-start < maxKey && isWord(s.text[start-1]) {
		start--
	}
	s.work += i - start
	return s.text[start:i]
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// assignment handles name=value, as in a query, a form or a command line.
func (s *scanner) assignment(i int) int {
	if !s.names.secret(s.nameBefore(i)) {
		return i + 1
	}
	return s.word(i + 1)
}

// header handles "Name: value" in text, to the end of the value.
func (s *scanner) header(i int) int {
	if i+1 >= len(s.text) || s.text[i+1] != ' ' || !s.names.secret(s.nameBefore(i)) {
		return i + 1
	}
	start := i + 2
	if end := start + len(scheme(s.text[start:])); end > start {
		start = end
	}
	return s.word(start)
}

// scheme returns the name of an authentication scheme with the space behind it.
func scheme(text []byte) []byte {
	for _, name := range []string{"Bearer ", "Basic ", "Digest ", "bearer ", "basic "} {
		if bytes.HasPrefix(text, []byte(name)) {
			return text[:len(name)]
		}
	}
	return nil
}

// word removes the value at i: a quoted text, or everything up to a separator.
func (s *scanner) word(i int) int {
	if i < len(s.text) && (s.text[i] == '"' || s.text[i] == '\\') {
		return s.quoted(i)
	}
	end := i
	for end < len(s.text) && bytes.IndexByte([]byte(" \t\r\n&\"'\\,;<>()[]{}"), s.text[end]) < 0 {
		end++
	}
	s.work += end - i
	if end == i {
		return i
	}
	return s.cut(i, end, Redacted)
}

// url handles the password in scheme://user:password@host.
func (s *scanner) url(i int) int {
	start := i + len("://")
	end := start
	for end < len(s.text) && bytes.IndexByte([]byte(" \t\r\n/?#\"'\\<>"), s.text[end]) < 0 {
		end++
	}
	s.work += end - start
	at := bytes.LastIndexByte(s.text[start:end], '@')
	if at < 0 {
		return start
	}
	colon := bytes.IndexByte(s.text[start:start+at], ':')
	if colon < 0 || colon+1 == at {
		return start
	}
	return s.cut(start+colon+1, start+at, Redacted)
}
