package admission

import (
	"fmt"
	"slices"
	"strings"

	"portcullis/gateway/call"
	"portcullis/gateway/policy/program"
)

// teams looks at the parts of the teams: a team that has no rules, or a part that is no
// path or name, rules over nothing.
func (n *naming) teams(p *program.Program) {
	var known []string
	for _, m := range p.TeamModules() {
		known = append(known, strings.Trim(m.Package.Path[3].String(), `"`))
	}
	for name, owns := range n.data.Owned() {
		if !slices.Contains(known, name) {
			n.warn(name, "teams."+name+" is given a part, and no rules are in policy.deny."+name+" or policy.obligations."+name, "name the team as its package is named")
		}
		some := false
		for engine, names := range owns {
			for _, v := range names {
				some = true
				n.owned(fmt.Sprintf("teams.%s.owns.%s", name, engine), engine, v)
			}
		}
		if !some {
			n.add(name, "teams."+name+" owns nothing, so the team's rules are heard about nothing", "name what it owns, or leave the team out of teams: its rules are then heard about everything")
		}
	}
}

// owned wants a part to be something that calls have: what is compared with it is a path
// or a name, and a path stands for everything below it.
func (n *naming) owned(at, engine, name string) {
	path, err := call.ParsePath(name)
	if err != nil || engine != "kv" && strings.Contains(path.String(), "/") || strings.ContainsAny(name, "*?{}") || slices.Contains(strings.Split(name, "/"), "+") {
		n.add(name, fmt.Sprintf("%s has %q, which no call can have, so the team's rules are not heard about it", at, name),
			"write whole paths without a slash at their ends and without wildcards, keys and roles by their names; a path stands for everything below it")
		return
	}
	n.mounted(at, engine, name)
	for _, mount := range n.mounts["kv"] {
		if rest, ok := strings.CutPrefix(name, mount+"/"); engine == "kv" && ok {
			n.warn(name, fmt.Sprintf("%s has %q, and paths have not the mount %s in them", at, name, mount), "write the path below the mount, as "+rest)
		}
	}
}
