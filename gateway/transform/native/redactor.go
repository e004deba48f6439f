package native

// Redacted replaces what is found.
const Redacted = "[redacted]"

// Redactor removes secrets from text. It is safe for concurrent use.
type Redactor struct {
	exact *exact
	names *names
	// anchors are the bytes at which something can be recognised.
	anchors [256]bool
}

// New returns a redactor that knows keys and shapes, and no values yet.
func New() *Redactor {
	return &Redactor{exact: newExact(), names: newNames(secretKeys()), anchors: [256]bool{':': true, '=': true, '.': true, '_': true, 'A': true, '-': true}}
}

// Learn remembers values of nobody in particular, see LearnFor.
func (r *Redactor) Learn(values ...string) { r.LearnFor("", values...) }

// LearnFor remembers values of an owner, so that they are found wherever they appear: as
// they are, escaped once or twice, in base64, hex or a URL. Only keyed hashes are kept, of
// the owner's last 512 values or so (fewer when there are many owners) and not longer than
// some minutes. Values below six bytes and very long texts are not learned. What could be
// words of a sentence, or is a number, is found in texts about the owner alone (AppendFor).
func (r *Redactor) LearnFor(owner string, values ...string) {
	for _, v := range values {
		r.exact.learn(owner, v)
	}
}

// Append appends the text without its secrets to dst. Of a record that was put together
// it could take the structure for a secret, so texts are redacted one by one before.
func (r *Redactor) Append(dst, text []byte) []byte { return r.AppendFor("", dst, text) }

// AppendFor is Append for a text about an owner.
func (r *Redactor) AppendFor(owner string, dst, text []byte) []byte {
	return r.scan(dst, r.exact.redact(owner, text))
}

// AppendEvidence is Append without what was learned. Whoever can store a secret
// chooses what is learned, and must not be able to choose what evidence leaves out.
func (r *Redactor) AppendEvidence(dst, text []byte) []byte { return r.scan(dst, text) }

// AppendValue is AppendEvidence for a value that has a name: the name alone can say
// that the value is a secret.
func (r *Redactor) AppendValue(dst []byte, name string, text []byte) []byte {
	if r.names.secret([]byte(name[max(0, len(name)-maxKey):])) && len(text) > 0 {
		return append(dst, Redacted...)
	}
	return r.scan(dst, text)
}

func (r *Redactor) scan(dst, text []byte) []byte {
	s := r.walk(dst, text)
	return append(s.dst, s.text[s.last:]...)
}

func (r *Redactor) walk(dst, text []byte) scanner {
	s := scanner{dst: dst, text: text, names: r.names, asked: -1}
	for i := 0; i < len(s.text); {
		if !r.anchors[s.text[i]] {
			i++
			continue
		}
		i = s.at(i)
	}
	return s
}

// scanner copies the text up to last and leaves out what it replaces. Its work is
// linear in the length of the text: what looks ahead ends in a cut, stops at the
// next anchor or is bounded, and what looks back does not look at a byte twice.
type scanner struct {
	dst, text []byte
	last      int
	names     *names
	asked     int // the place whose word was asked for last
	wordAt    int // where that word begins
	work      int // bytes looked at beside the walk itself, so that a test can hold the bound
}

// at looks at an anchor and returns where to go on.
func (s *scanner) at(i int) int {
	switch s.text[i] {
	case ':':
		return s.colon(i)
	case '=':
		return s.assignment(i)
	case '-':
		return s.privateKey(i)
	default:
		return s.token(i)
	}
}

// cut replaces text[from:to] and goes on behind it.
func (s *scanner) cut(from, to int, with string) int {
	from = max(from, s.last)
	s.dst = append(append(s.dst, s.text[s.last:from]...), with...)
	s.last = to
	return to
}
