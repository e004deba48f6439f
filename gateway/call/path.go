package call

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxPath bounds a full path below a mount, in bytes. It is checked where a caller
// names one; what is put before it on the way to Vault does not count.
const MaxPath = 1024

// Path is a clean, relative Vault path: segments joined by single slashes. The
// only ways to one are ParsePath, CleanPath, Join and Prefix, so it cannot hold an
// unclean path. That matters because vault/api joins paths on the client: an unclean
// one would change its meaning after the decision. The zero Path is empty.
type Path struct{ s string }

// ParsePath checks s, which is not escaped: every character that Vault allows in a
// name stands for itself. Refused are empty, "." and ".." segments, slashes at either
// end, control and unprintable characters (Vault refuses them too), what is not
// UTF-8, and anything too long. Errors are InvalidRequest and say what is wrong.
func ParsePath(s string) (Path, error) {
	if len(s) > MaxPath {
		return Path{}, Errorf(InvalidRequest, "the path is longer than %d bytes", MaxPath)
	}
	return CleanPath(s)
}

// CleanPath is ParsePath without the bound, for what was made of a Path.
func CleanPath(s string) (Path, error) {
	if s == "" {
		return Path{}, Errorf(InvalidRequest, "the path is empty")
	}
	if s[0] == '/' || s[len(s)-1] == '/' {
		return Path{}, Errorf(InvalidRequest, "the path begins or ends with a slash: leave it out")
	}
	for seg := range strings.SplitSeq(s, "/") {
		if err := CheckSegment(seg); err != nil {
			return Path{}, err
		}
	}
	return Path{s}, nil
}

// CheckSegment checks one segment of a path, decoded. A segment that would be "." or
// ".." for somebody who decodes it once more is refused as well.
func CheckSegment(seg string) error {
	switch {
	case seg == "" || dots(seg):
		return Errorf(InvalidRequest, "the path has an empty, '.' or '..' segment")
	case !utf8.ValidString(seg):
		return Errorf(InvalidRequest, "the path is not valid UTF-8")
	case strings.Contains(seg, "/"):
		return Errorf(InvalidRequest, "a segment of the path has a slash")
	}
	if i := strings.IndexFunc(seg, unprintable); i >= 0 {
		r, _ := utf8.DecodeRuneInString(seg[i:])
		return Errorf(InvalidRequest, "the path has a control or unprintable character, U+%04X, which Vault refuses in names", r)
	}
	return nil
}

func dots(seg string) bool {
	if strings.Contains(seg, "%") {
		seg = strings.ReplaceAll(strings.ToLower(seg), "%2e", ".")
	}
	return seg == "." || seg == ".."
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// ParsePlain is ParsePath for prefixes and mounts that an operator configures. They
// become part of Vault policies too, so what a policy or a URL gives a meaning is
// refused: ? # % \ * { }, a segment "+", ":" in the last segment, spaces at an end.
func ParsePlain(s string) (Path, error) {
	p, err := ParsePath(s)
	if err != nil {
		return Path{}, err
	}
	for seg := range strings.SplitSeq(s, "/") {
		if seg == "+" || strings.TrimSpace(seg) != seg || strings.ContainsAny(seg, `?#%\*{}`) {
			return Path{}, Errorf(InvalidRequest, "the path has a character that a Vault policy gives a meaning")
		}
	}
	if strings.Contains(s[strings.LastIndexByte(s, '/')+1:], ":") {
		return Path{}, Errorf(InvalidRequest, "the last segment of a path must not contain ':'")
	}
	return p, nil
}

// String returns the path, empty for the zero Path.
func (p Path) String() string { return p.s }

// IsZero reports whether the path is empty.
func (p Path) IsZero() bool { return p.s == "" }

// Join returns p/q. Joining with an empty path returns the other one.
func (p Path) Join(q Path) Path {
	switch {
	case p.s == "":
		return q
	case q.s == "":
		return p
	}
	return Path{p.s + "/" + q.s}
}

// Within reports whether p is root or lies below it, on a segment boundary:
// team10/x is not within team1. Everything is within the empty path.
func (p Path) Within(root Path) bool {
	if root.s == "" || p.s == root.s {
		return true
	}
	return len(p.s) > len(root.s) && p.s[len(root.s)] == '/' && p.s[:len(root.s)] == root.s
}

// Below is Within for a root that nobody has parsed, as a policy names one: what a
// clean path begins with, up to a slash, is clean. Nothing is below the empty root.
func (p Path) Below(root string) bool { return root != "" && p.Within(Path{root}) }

// Ancestors returns the path and every path above it, longest first:
// a/b/c gives [a/b/c a/b a]. It is nil for the empty path.
func (p Path) Ancestors() []string {
	if p.s == "" {
		return nil
	}
	out := make([]string, 0, strings.Count(p.s, "/")+1)
	for s := p.s; ; {
		out = append(out, s)
		i := strings.LastIndexByte(s, '/')
		if i < 0 {
			return out
		}
		s = s[:i]
	}
}

// MarshalText implements encoding.TextMarshaler.
func (p Path) MarshalText() ([]byte, error) { return []byte(p.s), nil }

// UnmarshalText implements encoding.TextUnmarshaler with ParsePath.
func (p *Path) UnmarshalText(b []byte) (err error) {
	*p, err = ParsePath(string(b))
	return err
}

// Cut returns what of p lies below root, and whether p does: the path itself is
// below itself, with nothing left.
func (p Path) Cut(root Path) (rest Path, below bool) {
	switch {
	case !p.Within(root):
		return Path{}, false
	case root.s == "":
		return p, true
	case p.s == root.s:
		return Path{}, true
	}
	return Path{p.s[len(root.s)+1:]}, true
}

// Prefix is what a listing starts from: empty, or a Path that may have been
// written with one slash at its end.
type Prefix struct{ Path }

// ParsePrefix checks s like ParsePath, but allows it to be empty or to end in
// one slash.
func ParsePrefix(s string) (Prefix, error) {
	if s == "" {
		return Prefix{}, nil
	}
	p, err := ParsePath(strings.TrimSuffix(s, "/"))
	return Prefix{p}, err
}

// UnmarshalText implements encoding.TextUnmarshaler with ParsePrefix.
func (p *Prefix) UnmarshalText(b []byte) (err error) {
	*p, err = ParsePrefix(string(b))
	return err
}

// Name is one segment that Vault accepts as the name of a key, role or mount
// (framework.GenericNameRegex): letters, digits, "_", "-" and ".", the last two
// not at an end, at most 128 bytes.
type Name string

var (
	nameRE    = regexp.MustCompile(`^\w(([\w.-]+)?\w)?$`)
	subjectRE = regexp.MustCompile(`^[\w@-][\w.@~-]*$`)
)

// MaxName bounds names, subjects, tenants and roles, in bytes.
const MaxName = 128

// ParseName checks s. Errors are InvalidRequest.
func ParseName(s string) (Name, error) {
	if len(s) > MaxName || !nameRE.MatchString(s) {
		return "", Errorf(InvalidRequest, "a name must be 1 to %d letters, digits, '_', '-' or '.', and begin and end with a letter, digit or '_'", MaxName)
	}
	return Name(s), nil
}

// UnmarshalText implements encoding.TextUnmarshaler with ParseName.
func (n *Name) UnmarshalText(b []byte) (err error) {
	*n, err = ParseName(string(b))
	return err
}

// ParseSubject checks that s can name a principal or a tenant: one safe segment of
// 1 to 128 letters, digits, "_", "-", ".", "@" or "~", without a dot or a "~" in
// front and without two dots in a row, which Vault refuses in every path. It becomes
// part of Vault paths and policy names, so nothing else may pass.
func ParseSubject(s string) (string, error) {
	if len(s) > MaxName || !subjectRE.MatchString(s) || strings.Contains(s, "..") {
		return "", Errorf(InvalidRequest, "not a safe name of 1 to %d letters, digits, '_', '-', '.', '@' or '~', without '..'", MaxName)
	}
	return s, nil
}
