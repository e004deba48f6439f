package native

import "bytes"

// token handles texts that look like one, whatever name they have. Sources:
// Vault's token prefixes (hvs, hvb, hvr; s, b and r before 1.10), RFC 7519,
// AWS's unique identifiers, GitHub's token formats.
func (s *scanner) token(i int) int {
	switch s.text[i] {
	case '.':
		return s.dotted(i)
	case '_':
		return s.github(i)
	default:
		return s.aws(i)
	}
}

// run returns the end of the text of word characters at i.
func (s *scanner) run(i int) int {
	end := i
	for end < len(s.text) && isWord(s.text[end]) {
		end++
	}
	s.work += end - i
	return end
}

// startOf returns the beginning of the word that ends at i. Asked for one word at
// many places, it walks over the word once.
func (s *scanner) startOf(i int) int {
	start := i
	for start > s.last && start != s.asked && isWord(s.text[start-1]) {
		start--
	}
	s.work += i - start
	if start == s.asked {
		start = max(s.wordAt, s.last)
	}
	s.asked, s.wordAt = i, start
	return s.unescaped(start)
}

// unescaped steps over the letter of an escape: in \nhvs. the word is hvs.
func (s *scanner) unescaped(i int) int {
	if i > s.last && i < len(s.text) && s.text[i-1] == '\\' && bytes.IndexByte([]byte("nrtbf"), s.text[i]) >= 0 {
		return i + 1
	}
	return i
}

// dotted handles Vault's tokens and JSON web tokens.
func (s *scanner) dotted(i int) int {
	start := s.startOf(i)
	prefix, end := s.text[start:i], s.run(i+1)
	switch string(prefix) {
	case "hvs", "hvb", "hvr":
		if end-i > 12 {
			return s.cut(start, end, Redacted)
		}
	case "s", "b", "r":
		if end-i > 20 {
			return s.cut(start, end, Redacted)
		}
	}
	if i-start > 8 && string(prefix[:3]) == "eyJ" {
		return s.jwt(start, end)
	}
	return i + 1
}

// jwt takes every further part: three for a signed token, five for an encrypted
// one, and a token that was cut short as well.
func (s *scanner) jwt(start, end int) int {
	for end < len(s.text) && s.text[end] == '.' {
		end = s.run(end + 1)
	}
	return s.cut(start, end, Redacted)
}

func (s *scanner) github(i int) int {
	start := s.startOf(i)
	switch string(s.text[start:i]) {
	case "ghp", "gho", "ghu", "ghs", "ghr", "github":
	default:
		return i + 1
	}
	if end := s.run(i); end-i > 20 {
		return s.cut(start, end, Redacted)
	}
	return i + 1
}

// aws handles access key identifiers: AKIA or ASIA and 16 upper-case letters or
// digits, not inside a longer word.
func (s *scanner) aws(i int) int {
	const size = 20
	if i+size > len(s.text) || s.text[i+2] != 'I' || s.text[i+3] != 'A' || s.text[i+1] != 'K' && s.text[i+1] != 'S' {
		return i + 1
	}
	for _, c := range s.text[i : i+size] {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return i + 1
		}
	}
	if s.startOf(i) != i || i+size < len(s.text) && isWord(s.text[i+size]) {
		return i + 1
	}
	return s.cut(i, i+size, Redacted)
}

// privateKey handles a PEM block (RFC 7468), with real or escaped line ends. A
// block without an end goes to the end of the text.
func (s *scanner) privateKey(i int) int {
	const begin, end = "-----BEGIN ", "-----END "
	if !bytes.HasPrefix(s.text[i:], []byte(begin)) {
		return i + 1
	}
	label := s.text[i+len(begin) : min(len(s.text), i+len(begin)+60)]
	if !bytes.Contains(label, []byte("PRIVATE KEY")) {
		return i + len(begin)
	}
	// Every way on is a cut, so what is looked at here is not looked at again.
	to := len(s.text)
	if stop := bytes.Index(s.text[i:], []byte(end)); stop >= 0 {
		stop += i + len(end)
		if tail := bytes.Index(s.text[stop:], []byte("-----")); tail >= 0 {
			to = stop + tail + len("-----")
		}
	}
	s.work += to - i
	return s.cut(i, to, Redacted)
}
