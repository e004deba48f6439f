package vaultpolicy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/policy"
)

// Fence is what all callers may at once: what each may in its own part of each mount, and
// what the data grant any of them, and any role. A second fence is no decision: between
// callers it keeps apart what is their own.
type Fence struct {
	Rules  Rules    // with marks for what differs between callers
	Claims []string // that there are marks of
	grants []grant  // whose names are more than text, to the gateway or to Vault
}

// grant is a grant as the data write it.
type grant struct {
	table  string // subject or role
	holder string // as a person would say it
	engine string
	name   string
}

// The marks stand in rules for all callers for what differs between them. They are clean
// segments, as those are.
const (
	prefixMark  = "OWN-PREFIX"
	subjectMark = "OWN-SUBJECT"
	tenantMark  = "OWN-TENANT"
	roleMark    = "OWN-ROLE"
)

// claimMark is the mark of a claim. Names of claims have no hyphen, so none begins with
// the mark of another.
func claimMark(name string) string { return "OWN-CLAIM-" + name + "-" }

var (
	claimMarks = regexp.MustCompile(`OWN-CLAIM-(\w+)-`)
	markedWord = regexp.MustCompile(`[^/]*OWN-(SUBJECT|TENANT|ROLE|CLAIM-\w+-)[^/]*`)
)

// ForAll makes the fence of the active data of a policy. rules are those of any caller.
func ForAll(e *policy.Engine, rules func(*call.Caller) Rules) Fence {
	f := Fence{Rules: Rules{}, Claims: e.ClaimNames()}
	marks := map[string]any{}
	for _, name := range f.Claims {
		marks[name] = claimMark(name)
	}
	prefix, _ := call.ParsePath(prefixMark)
	for _, c := range append([]call.Caller{{}, {Tenant: tenantMark}}, e.Holders()...) {
		templated := f.note(&c, e.Written(&c, time.Now()))
		if c.Subject == "" {
			c.Subject = subjectMark
		}
		c.Prefix, c.Method = prefix, call.APIKey
		f.Rules = merged(f.Rules, rules(&c))
		if !templated {
			continue
		}
		if c.Claims = marks; len(c.Roles) == 0 {
			c.Roles = []string{roleMark}
		}
		f.Rules = merged(f.Rules, rules(&c))
	}
	return f
}

// note notes the grants of a holder whose names are more than text, and reports whether
// one has a template that needs more than the caller's name.
func (f *Fence) note(c *call.Caller, written []policy.Named) (templated bool) {
	g := grant{table: "subject", holder: fmt.Sprintf("the subject %q", c.Subject)}
	if len(c.Roles) > 0 {
		g.table, g.holder = "role", fmt.Sprintf("the role %q", c.Roles[0])
	}
	if c.Tenant != "" {
		g.holder += fmt.Sprintf(" of the tenant %q", c.Tenant)
	}
	for _, n := range written {
		if g.engine, g.name = n.Engine, n.Name; strings.Contains(n.Name, "{") || !literal(n.Name) {
			f.grants = append(f.grants, g)
		}
		templated = templated || strings.Contains(n.Name, "{claims.") || strings.Contains(n.Name, "{role}")
	}
	return templated
}

// ofEntities are the rules that Vault fills in from the caller's entity. An entity has one
// value of each kind, so what depends on which role of several is meant is left out.
func (f Fence) ofEntities() Rules {
	r := Rules{}
	words := strings.NewReplacer(prefixMark, ofEntity("prefix"), subjectMark, ofEntity("subject"), tenantMark, ofEntity("tenant"))
	for path, can := range f.Rules {
		if !strings.Contains(path, roleMark) {
			r.allow(claimMarks.ReplaceAllString(words.Replace(path), ofEntity(claimWord("${1}"))), slices.Collect(maps.Keys(can)))
		}
	}
	return r
}

// ofAnybody are the rules of who acts for all callers: any segment in the place of one that
// differs between them. base begins all their prefixes, empty for the mount itself.
func (f Fence) ofAnybody(base string) Rules {
	r := Rules{}
	for path, can := range f.Rules {
		if base == "" {
			path = strings.ReplaceAll(path, prefixMark+"/", "")
		}
		r.allow(markedWord.ReplaceAllString(strings.ReplaceAll(path, prefixMark, base), "+"), slices.Collect(maps.Keys(can)))
	}
	return r
}

// claimWord is what the metadata of an entity call a claim. It is never one of the words
// that the gateway gives an entity itself.
func claimWord(name string) string { return "claim_" + name }

// Why a fence has less, or more, than a grant. Each is followed by the grants.
const (
	noWildcard = "not in the fence, so Vault refuses what these grant: a policy of Vault would give their wildcards, or a character, another meaning"
	noRole     = "not in the fence, so Vault refuses what these grant: {role} is any role of the caller, and an entity of Vault's has one value of a name"
	anyValue   = "in the fence with + in the place of what differs between callers, so the gateway's own token may use them all: only the gateway keeps callers apart"
)

// entityNotes say what of the data's grants is not as the data have it where callers log
// in themselves.
func (f Fence) entityNotes() []string {
	notes := f.listed(noWildcard, grant.meansMore)
	notes = append(notes, f.listed(noRole, func(g grant) bool { return !g.meansMore() && g.anyRole() })...)
	for _, name := range f.Claims {
		notes = append(notes, fmt.Sprintf("{claims.%s} is %s in the metadata of a caller's alias. A list, a number, and a text that is no clean name "+
			"(1 to %d letters, digits, '_', '-', '.', '@' or '~') are left out, and Vault refuses what would be granted by them.", name, claimWord(name), call.MaxName))
	}
	return notes
}

// ownNotes are entityNotes where callers act through the gateway's own token.
func (f Fence) ownNotes() []string {
	notes := f.listed(noWildcard, grant.meansMore)
	return append(notes, f.listed(anyValue, func(g grant) bool { return !g.meansMore() })...)
}

// childNotes are entityNotes where the gateway writes a policy of each caller.
func (f Fence) childNotes() []string { return f.listed(noWildcard, grant.meansMore) }

func (g grant) anyRole() bool { return g.table == "subject" && strings.Contains(g.name, "{role}") }

func (g grant) meansMore() bool { return !literal(g.name) }

// maxListed bounds how many grants are named for one reason.
const maxListed = 20

// listed are a reason and the grants that it is for, nothing when there is none.
func (f Fence) listed(why string, which func(grant) bool) (lines []string) {
	for _, g := range f.grants {
		if which(g) {
			lines = append(lines, fmt.Sprintf("  %s %q of %s", g.engine, g.name, g.holder))
		}
	}
	if slices.Sort(lines); len(lines) == 0 {
		return nil
	}
	if more := len(lines) - maxListed; more > 0 {
		lines = append(lines[:maxListed], fmt.Sprintf("  and %d more", more))
	}
	return append([]string{why + ":"}, lines...)
}
