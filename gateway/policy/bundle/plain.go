package bundle

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// plain reads the part of YAML that large tables are written in: block mappings and
// lists, JSON-like collections of one line, plain and quoted scalars without escapes. It
// takes a tenth of what the library takes. At anything else, and at any mistake, it gives
// up and the library reads the document, so a document has one meaning.
type plain struct {
	text   string
	pos    int
	indent int // of the line that begins at pos, -1 at the end
	left   int // values that there may still be
	depth  int
	odd    bool // there is something that only the library reads
	made   map[string]made
}

// made is what a short collection came to. Large tables hold the same ones over and over,
// and data are never changed, so each is made once.
type made struct {
	value any
	left  int // how many values it took
}

// Bounds within which the library takes every document.
const (
	maxPlainDepth = 64
	maxPlainKey   = 512 // the library looks for the colon of a key in 1,024 bytes
	maxShort      = 64  // bytes of a collection that is made once
	maxMade       = 4096
)

// decodePlain decodes a document that is an object; ok is false when the library must.
func decodePlain(text []byte) (_ map[string]any, ok bool) {
	if !utf8.Valid(text) {
		return nil, false
	}
	p := &plain{text: string(text), left: maxValues, made: map[string]made{}}
	for _, r := range p.text {
		if r != '\n' && !unicode.IsPrint(r) {
			return nil, false
		}
	}
	out := p.document()
	return out, !p.odd
}

func (p *plain) document() map[string]any {
	p.line()
	if p.indent == 0 && p.at('{') {
		out, _ := p.collection(true).(map[string]any)
		p.line()
		p.odd = p.odd || p.indent >= 0
		return out
	}
	out := p.mapping(p.indent)
	p.odd = p.odd || p.indent >= 0 || len(out) == 0
	return out
}

func (p *plain) at(c byte) bool { return p.pos < len(p.text) && p.text[p.pos] == c }

// take goes behind a byte that must be here.
func (p *plain) take(c byte) {
	if !p.at(c) {
		p.odd = true
		return
	}
	p.pos++
}

// ends reports whether the byte at pos ends a word: there is a space, or the line ends.
func (p *plain) ends(pos int) bool {
	return pos >= len(p.text) || p.text[pos] == ' ' || p.text[pos] == '\n'
}

func (p *plain) spaces() {
	for p.at(' ') {
		p.pos++
	}
}

// line goes from the end of one line to the next that says something.
func (p *plain) line() {
	for p.indent = -1; !p.odd; {
		start := p.pos
		p.spaces()
		first := start == 0 || p.text[start-1] == '\n'
		switch {
		case p.pos == len(p.text):
			return
		case p.at('#') && (p.pos == 0 || p.ends(p.pos-1)):
			comment, _, _ := strings.Cut(p.text[p.pos:], "\n")
			p.pos = min(p.pos+len(comment)+1, len(p.text))
		case p.at('\n'):
			p.pos++
		case first:
			p.indent = p.pos - start
			return
		default:
			p.odd = true
		}
	}
}

func (p *plain) mapping(indent int) map[string]any {
	out := map[string]any{}
	for p.enter(); p.indent == indent && !p.odd; {
		key := p.key(false)
		if _, again := out[key]; again {
			p.odd = true
		}
		out[key] = p.behindKey(indent)
	}
	p.depth--
	p.odd = p.odd || p.indent > indent
	return out
}

// enter counts a value, and one more that contains others.
func (p *plain) enter() {
	p.depth++
	p.left--
	p.odd = p.odd || p.depth > maxPlainDepth || p.left < 0
}

// behindKey is the value of a key that stands at an indent.
func (p *plain) behindKey(indent int) any {
	start := p.pos
	p.spaces()
	if p.pos < len(p.text) && !p.at('\n') && !(p.at('#') && p.pos > start) {
		v := p.value(false)
		p.line()
		return v
	}
	p.line()
	switch {
	case p.indent >= indent && p.item():
		return p.list(p.indent)
	case p.indent > indent:
		return p.mapping(p.indent)
	}
	p.odd = true // null
	return nil
}

// item reports whether an item of a list begins here.
func (p *plain) item() bool { return p.at('-') && p.pos+1 < len(p.text) && p.text[p.pos+1] == ' ' }

func (p *plain) list(indent int) []any {
	out := []any{}
	for p.enter(); p.indent == indent && p.item() && !p.odd; {
		start := p.pos
		p.pos++
		p.spaces()
		if p.startsKey() {
			p.indent += p.pos - start
			out = append(out, p.mapping(p.indent))
			continue
		}
		out = append(out, p.value(false))
		p.line()
	}
	p.depth--
	p.odd = p.odd || p.indent > indent
	return out
}

// startsKey reports whether what begins here is a key, as in "- name: mask".
func (p *plain) startsKey() bool {
	if p.at('{') || p.at('[') {
		return false
	}
	ahead := *p
	ahead.scalar()
	return !ahead.odd && ahead.at(':') && ahead.ends(ahead.pos+1)
}

// key reads a key with its colon. In a collection a colon behind quotes needs no space.
func (p *plain) key(inCollection bool) string {
	quoted := p.at('"') || p.at('\'')
	start := p.pos
	key, text := p.scalar().(string)
	p.odd = p.odd || !text || p.pos-start > maxPlainKey
	p.take(':')
	p.odd = p.odd || !(inCollection && quoted) && !p.ends(p.pos)
	return key
}

// value is a scalar, or a collection as JSON writes it.
func (p *plain) value(lines bool) any {
	if p.at('{') || p.at('[') {
		return p.collection(lines)
	}
	p.left--
	return p.scalar()
}

// collection reads an object or a list as JSON writes it, on one line unless lines says
// that it may have several.
func (p *plain) collection(lines bool) any {
	text := p.short()
	if m, ok := p.made[text]; ok {
		p.pos += len(text)
		p.left -= m.left
		return m.value
	}
	before := p.left
	out := p.members(lines)
	if text != "" && !p.odd && len(p.made) < maxMade {
		p.made[text] = made{out, before - p.left}
	}
	return out
}

// short is the text of the collection that begins here, empty when it is long or has
// quotes.
func (p *plain) short() string {
	depth := 0
	text := p.text[p.pos:min(p.pos+maxShort, len(p.text))]
	for i := range len(text) {
		switch text[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return text[:i+1]
			}
		case '\n', '"', '\'':
			return ""
		}
	}
	return ""
}

func (p *plain) members(lines bool) any {
	p.enter()
	defer func() { p.depth-- }()
	if p.at('{') {
		out := map[string]any{}
		p.each('}', lines, func() {
			key := p.key(true)
			if _, again := out[key]; again {
				p.odd = true
			}
			p.gap(lines)
			out[key] = p.value(lines)
		})
		return out
	}
	out := []any{}
	p.each(']', lines, func() { out = append(out, p.value(lines)) })
	return out
}

// each calls for each member until the bracket that ends the collection.
func (p *plain) each(end byte, lines bool, one func()) {
	for p.pos++; !p.odd; p.pos++ {
		if p.gap(lines); p.at(end) {
			break
		}
		if one(); p.odd {
			return
		}
		if p.gap(lines); !p.at(',') {
			break
		}
	}
	p.take(end)
}

func (p *plain) gap(lines bool) {
	for p.at(' ') || lines && p.at('\n') {
		p.pos++
	}
}

// scalar reads a text, a whole number, true or false.
func (p *plain) scalar() any {
	if p.at('"') || p.at('\'') {
		return p.quoted(p.text[p.pos])
	}
	start := p.pos
	for p.pos < len(p.text) && (isWord(p.text[p.pos]) || p.pos > start && strings.IndexByte("-.+*@", p.text[p.pos]) >= 0) {
		p.pos++
	}
	word := p.text[start:p.pos]
	switch {
	case word == "", len(word) < 6 && means(word):
		p.odd = p.odd || word != "true" && word != "false"
		return word == "true"
	case word[0] < '0' || word[0] > '9':
		return word
	case len(word) > 15 || len(word) > 1 && word[0] == '0':
		p.odd = true
	}
	n, err := strconv.ParseUint(word, 10, 64)
	p.odd = p.odd || err != nil
	return float64(n)
}

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '/'
}

// means reports whether YAML reads a word as something else than a text, in any version.
func means(word string) bool {
	switch strings.ToLower(word) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		return true
	}
	return false
}

// quoted reads a text in quotes in which nothing is escaped.
func (p *plain) quoted(quote byte) any {
	rest := p.text[p.pos+1:]
	n := strings.IndexByte(rest, quote)
	if n < 0 || strings.IndexByte(rest[:n], '\n') >= 0 || quote == '"' && strings.IndexByte(rest[:n], '\\') >= 0 {
		p.odd = true
		return ""
	}
	p.pos += n + 2
	p.odd = p.odd || p.at(quote)
	return rest[:n]
}
