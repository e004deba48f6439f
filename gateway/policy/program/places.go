package program

import (
	"slices"
	"strings"

	"portcullis/gateway/call"
	"portcullis/gateway/policy/document"
)

// maxPlaces bounds the places that a list tries for one operation. Where there are more,
// what is not impossible counts as possible.
const maxPlaces = 256

// marked are the paths that the rules of teams can tell apart: the texts that they spell
// out, and what teams own.
func (p *Program) marked() (out []string) {
	for _, v := range p.Constants() {
		if text, ok := v.(string); ok {
			out = append(out, text)
		}
	}
	for _, engines := range p.Data.Owned() {
		out = append(out, engines["kv"]...)
	}
	out = slices.DeleteFunc(out, func(s string) bool {
		_, err := call.ParsePath(s)
		return err != nil || s == ""
	})
	slices.Sort(out)
	return slices.Compact(out)
}

// Marks are the paths that the rules of teams can tell apart, sorted. Do not change them.
func (p *Program) Marks() []string { return p.marks }

// places are those that a caller may be allowed something at, as far as the rules can
// tell them apart: what each grant begins with, what rules name below it, and in both
// one more that nobody names. all is false when there are too many.
func (p *Program) places(f document.Facts) (out []string, all bool) {
	own := f.Caller.Prefix.String()
	regions := append([]string{own}, p.Granted(f.Caller, "kv")...)
	if b := f.Caller.Behalf; b != nil { // what both may begin with can be the narrower of theirs
		regions = append(append(regions, b.Prefix.String()), p.Granted(b, "kv")...)
	}
	names := p.marks
	if p.team.Any("resource.relative") && own != "" {
		names = slices.Clone(names)
		for _, m := range p.marks {
			names = append(names, own+"/"+m)
		}
	}
	for _, region := range regions {
		if region == "" {
			continue
		}
		for _, path := range append([]string{p.nobodys(region, "")}, meeting(region, names, p.nobodys("+", ""))...) {
			out = append(out, path, p.nobodys(path, "/+"))
		}
		if len(out) > maxPlaces {
			return nil, false
		}
	}
	return out, true
}

// nobodys is a pattern, with what is put behind it, whose wildcards are a name that no
// rule knows.
func (p *Program) nobodys(pattern, behind string) string {
	name := "any-name"
	for slices.ContainsFunc(p.marks, func(m string) bool { return strings.Contains(m, name) }) {
		name += "-"
	}
	return strings.ReplaceAll(pattern+behind, "+", name)
}

// meeting are the paths, as short as they can be, that are both below a region, which
// may have wildcards, and at or below one of the names. Wildcards that the name says
// nothing of are another.
func meeting(region string, names []string, another string) (out []string) {
	segments := strings.Split(region, "/")
	for _, name := range names {
		path, fits := strings.Split(name, "/"), true
		for i, s := range segments {
			switch {
			case i == len(path):
				path = append(path, strings.ReplaceAll(s, "+", another))
			case s != "+" && s != path[i]:
				fits = false
			}
		}
		if fits {
			out = append(out, strings.Join(path, "/"))
		}
	}
	return out
}
