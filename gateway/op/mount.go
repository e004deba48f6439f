package op

import (
	"slices"
	"strings"

	"portcullis/gateway/call"
)

// Mount is a secrets engine in Vault that operations act on.
type Mount struct {
	Path string // clean, without slashes at its ends; it may have some inside, and no colon
	// Version is that of a KV engine, 1 or 2; 0 for what Vault says, and other engines.
	Version int
	// Prefix is where callers' own secrets live in a KV engine, with {tenant} and
	// {subject}; empty for the prefix that callers have anyway.
	Prefix string
	// Found says which version of KV Vault says that the engine is, 0 for not known yet.
	// It is asked where Version is 0; without it, that is version 2.
	Found func() int
}

// KV is the version of a KV engine, 0 when it is not known yet.
func (m Mount) KV() int {
	switch {
	case m.Version != 0:
		return m.Version
	case m.Found != nil:
		return m.Found()
	}
	return 2
}

// Own is where a caller's own secrets live in the mount, empty for nowhere. A prefix
// that does not tell callers' tenants apart belongs to no caller that has one.
func (m Mount) Own(c *call.Caller) call.Path {
	if m.Prefix == "" {
		return c.Prefix
	}
	if strings.Contains(m.Prefix, "{tenant}") != (c.Tenant != "") || !strings.Contains(m.Prefix, "{subject}") {
		return call.Path{}
	}
	p, err := call.ParsePath(strings.NewReplacer("{tenant}", c.Tenant, "{subject}", c.Subject).Replace(m.Prefix))
	if err != nil {
		return call.Path{}
	}
	return p
}

// Mounts are all mounts that an operation may act on, the default one first; none for
// an operation that acts on none.
func (s *Spec) Mounts() []Mount {
	if s.Mount == "" {
		return nil
	}
	return append([]Mount{{Path: s.Mount}}, s.More...)
}

// MountAt is the mount with a path, "" for the default one; ok is false when there is none.
func (s *Spec) MountAt(path string) (m Mount, ok bool) {
	if path == "" || path == s.Mount {
		return Mount{Path: s.Mount}, true
	}
	i := slices.IndexFunc(s.More, func(m Mount) bool { return m.Path == path })
	if i < 0 {
		return Mount{}, false
	}
	return s.More[i], true
}

// Own is where a caller's own secrets live in a mount of the operation.
func (s *Spec) Own(mount string, c *call.Caller) call.Path {
	m, ok := s.MountAt(mount)
	if !ok {
		return call.Path{}
	}
	return m.Own(c)
}

// OwnName is Own under the name that a grant for it has, see Names; empty for nowhere.
func (s *Spec) OwnName(mount string, c *call.Caller) string {
	own := s.Own(mount, c).String()
	if own == "" || mount == s.Mount {
		return own
	}
	return mount + ":" + own
}

// Plain is the path that the name of a grant stands for in a mount. A name that is for
// another mount is returned as it is.
func (s *Spec) Plain(mount, name string) string {
	if len(s.More) == 0 {
		return name
	}
	return strings.TrimPrefix(name, mount+":")
}

// Named divides the name of a grant, "mount:name", into both. A name whose beginning is
// no mount of the operation, or that has no colon, is one in the default mount.
func (s *Spec) Named(name string) (Mount, string) {
	for _, m := range s.Mounts() {
		if rest, ok := strings.CutPrefix(name, m.Path+":"); ok && len(s.More) > 0 {
			return m, rest
		}
	}
	return Mount{Path: s.Mount}, name
}

// Names are the names under which grants may stand for a path in a mount: the path and
// every path above it, longest first. Where there are several mounts, each is behind its
// mount and a colon, and those of the default mount are also there without, unless they
// look like ones with a mount. No two resources share a name.
func (s *Spec) Names(mount string, path call.Path) []string {
	plain := path.Ancestors()
	if len(s.More) == 0 {
		return plain
	}
	names := make([]string, 0, 2*len(plain))
	if mount == s.Mount && !slices.ContainsFunc(s.Mounts(), func(m Mount) bool { return strings.HasPrefix(path.String(), m.Path+":") }) {
		names = append(names, plain...)
	}
	for _, p := range plain {
		names = append(names, mount+":"+p)
	}
	return names
}

// On is where a name of a secret is resolved: in the mount that it names by its URI,
// else where it was. Errors are InvalidRequest.
func (at At) On(r call.Ref) (At, error) {
	if !r.IsURI() {
		return at, nil
	}
	found := -1
	for i, m := range at.Mounts {
		if r.Under(m.Path) && (found < 0 || len(m.Path) > len(at.Mounts[found].Path)) {
			found = i
		}
	}
	switch {
	case found < 0 && len(at.Mounts) > 1:
		return at, call.Errorf(call.InvalidRequest, "no such mount: a full path here begins with %s and one of %s", call.Scheme, strings.Join(paths(at.Mounts), ", "))
	case found < 0:
		return at, nil // which Resolve says
	case at.Chosen && at.Mounts[found].Path != at.Mount:
		return at, call.Errorf(call.InvalidRequest, "the path names the mount %s, and mount another one", at.Mounts[found].Path)
	}
	return at.in(at.Mounts[found]), nil
}

// in is At in a mount.
func (at At) in(m Mount) At {
	at.Mount, at.Own, at.KV = m.Path, m.Own(at.Caller), m.KV()
	return at
}

// Resolve is call.Ref.Resolve in the mount of At. The canonical form of what is in
// another mount than the default one always names its mount.
func (at At) Resolve(r call.Ref) (full call.Path, canonical call.Ref, err error) {
	full, canonical, err = r.Resolve(at.Own, at.Mount, at.Absolute)
	if err == nil && len(at.Mounts) > 0 && at.Mount != at.Mounts[0].Path {
		canonical = call.FullRef(at.Mount, full)
	}
	return full, canonical, err
}

func paths(mounts []Mount) (out []string) {
	for _, m := range mounts {
		out = append(out, m.Path)
	}
	return out
}
