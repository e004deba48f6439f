package native

// Work is how many bytes the redactor looks at, and values it compares, for a text
// beside walking over it once.
func (r *Redactor) Work(text []byte) int {
	text, compared := r.exact.search("", text)
	s := r.walk(nil, text)
	return compared + s.work
}
