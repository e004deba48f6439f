package call

import (
	"net/url"
	"strings"
)

// Scheme begins the name of a secret by its full path: kv://{mount}/{full path}.
const Scheme = "kv://"

// MaxRef bounds the text of a Ref in bytes: each byte of a path may be escaped.
const MaxRef = 3*MaxPath + 256

// Ref names a secret as a caller writes it: a path below the caller's own prefix, in
// which every character stands for itself, or kv://{mount}/{full path}, a URI whose
// segments are escaped (RFC 3986 section 2.1). No relative path can look like a URI,
// as its second segment would be empty.
type Ref struct {
	path Path // relative, or mount and full path
	uri  bool
}

// ParseRef reads a Ref. A URI is decoded once, segment by segment. Errors are
// InvalidRequest.
func ParseRef(s string) (Ref, error) {
	rest, uri := strings.CutPrefix(s, Scheme)
	if !uri {
		p, err := ParsePath(s)
		return Ref{path: p}, err
	}
	if len(s) > MaxRef {
		return Ref{}, Errorf(InvalidRequest, "the path is longer than %d bytes", MaxPath)
	}
	segments := strings.Split(rest, "/")
	for i, raw := range segments {
		if strings.ContainsAny(raw, "?#") {
			return Ref{}, Errorf(InvalidRequest, "a kv:// path has no query or fragment: write ? as %%3F and # as %%23; a version is an argument of its own")
		}
		seg, err := url.PathUnescape(raw)
		if err != nil {
			return Ref{}, Errorf(InvalidRequest, "a kv:// path is escaped as a URI: write %% as %%25")
		}
		if err := CheckSegment(seg); err != nil {
			return Ref{}, err
		}
		segments[i] = seg
	}
	p, err := CleanPath(strings.Join(segments, "/"))
	return Ref{p, true}, err
}

// Resolve returns the full path below the mount that a caller with the prefix means,
// and the Ref in its one canonical form: relative below the caller's own prefix, a
// URI elsewhere. Policies and evidence see that form, however the path was written.
// absolute says that the text is a full path below the mount. Errors are InvalidRequest.
func (r Ref) Resolve(prefix Path, mount string, absolute bool) (full Path, canonical Ref, err error) {
	root := Path{mount}
	switch {
	case r.uri:
		rest, below := r.path.Cut(root)
		if !below {
			return Path{}, Ref{}, Errorf(InvalidRequest, "no such mount: a full path here begins with %s%s/", Scheme, mount)
		}
		full = rest
	case absolute:
		full = r.path
	default:
		full = prefix.Join(r.path)
	}
	if len(full.s) > MaxPath {
		return Path{}, Ref{}, Errorf(InvalidRequest, "the full path is longer than %d bytes", MaxPath)
	}
	if own, below := full.Cut(prefix); below {
		return full, Ref{path: own}, nil
	}
	return full, Ref{root.Join(full), true}, nil
}

// FullRef is the URI of a full path in a mount.
func FullRef(mount string, full Path) Ref { return Ref{Path{mount}.Join(full), true} }

// Under reports whether a URI names something in a mount, or the mount itself.
func (r Ref) Under(mount string) bool { return r.uri && r.path.Within(Path{mount}) }

// IsURI reports whether the Ref names a full path.
func (r Ref) IsURI() bool { return r.uri }

// Text is the path as it was written, decoded; of a URI, mount and full path.
func (r Ref) Text() string { return r.path.s }

// String returns the Ref as ParseRef reads it.
func (r Ref) String() string {
	if !r.uri {
		return r.path.s
	}
	return URI(strings.Split(r.path.s, "/"))
}

// URI is the kv:// URI of decoded segments, the first of which are the mount's.
func URI(segments []string) string {
	escaped := make([]string, len(segments))
	for i, seg := range segments {
		escaped[i] = url.PathEscape(seg)
	}
	return Scheme + strings.Join(escaped, "/")
}

// MarshalText implements encoding.TextMarshaler.
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler with ParseRef.
func (r *Ref) UnmarshalText(b []byte) (err error) {
	*r, err = ParseRef(string(b))
	return err
}

// Folder is a Ref that a listing starts from: it may be empty, which a slash alone means
// as well, or written with one slash at its end.
type Folder struct{ Ref }

// ParseFolder is ParseRef for a Folder.
func ParseFolder(s string) (Folder, error) {
	if s == "" || s == "/" {
		return Folder{}, nil
	}
	r, err := ParseRef(strings.TrimSuffix(s, "/"))
	return Folder{r}, err
}

// UnmarshalText implements encoding.TextUnmarshaler with ParseFolder.
func (f *Folder) UnmarshalText(b []byte) (err error) {
	*f, err = ParseFolder(string(b))
	return err
}
