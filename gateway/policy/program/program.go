package program

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"portcullis/gateway/op"
	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/data"
	"portcullis/gateway/policy/document"
)

// Program is a compiled policy with its data.
type Program struct {
	Revision string
	Tiers    map[string]op.Tier
	Team     *bundle.Bundle // what was added to the embedded bundle, nil for nothing
	Data     data.Data

	parsed   map[string]*ast.Module
	compiler *ast.Compiler
	store    storage.Store
	question *question
	allowed  rule      // data.gateway.allowed
	refused  rule      // data.gateway.refused
	asked    sync.Pool // of *document.Input
	reads    document.Reads
	team     document.Reads // what the team's rules alone read
	ends     []int64        // when grants end, in order
	writer   *document.Writer
	patterns patterns // grants with wildcards or templates
	// qualified says that not every refusal counts: a team has a part of its own, or a rule
	// is in dry run.
	qualified bool
	marks     []string       // paths that the rules of teams tell apart
	placed    bool           // they tell paths apart, and do nothing else with them
	zone      *time.Location // of the time that rules read
}

// Compile compiles the core bundle and, over it, a team's. The error is Findings
// when something is wrong with the policy.
func Compile(ctx context.Context, core, team *bundle.Bundle) (*Program, error) {
	p := &Program{Team: team}
	bundles := []*bundle.Bundle{core}
	if team != nil {
		bundles = append(bundles, team)
	}
	p.Revision, p.Data = bundle.Revision(bundles...), data.Of(bundle.Merge(bundles...))
	err := p.checkData(bundles)
	if err != nil {
		return nil, err
	}
	if p.patterns, p.zone, err = p.settings(); err != nil {
		return nil, err
	}
	if p.parsed, err = parse(bundles, ast.RegoV1); err != nil {
		return nil, err
	}
	if err := foreign(p.TeamModules()).Err(); err != nil {
		return nil, err
	}
	return p, p.compile(ctx, p.parsed)
}

// Compiler is the compiler with the compiled modules. Do not change it.
func (p *Program) Compiler() *ast.Compiler { return p.compiler }

// Store holds the data. It is only read.
func (p *Program) Store() storage.Store { return p.store }

// Modules are the modules as they were written, by title. Do not change them.
func (p *Program) Modules() map[string]*ast.Module { return p.parsed }

// compiled are the compiled modules of a bundle.
func (p *Program) compiled(b *bundle.Bundle) map[string]*ast.Module {
	out := map[string]*ast.Module{}
	if b == nil {
		return out
	}
	for _, f := range b.Rules {
		title := b.Title(f.Name)
		out[title] = p.compiler.Modules[title]
	}
	return out
}

// TeamModules are the modules that were added to the embedded ones.
func (p *Program) TeamModules() map[string]*ast.Module {
	out := map[string]*ast.Module{}
	if p.Team == nil {
		return out
	}
	for _, f := range p.Team.Rules {
		title := p.Team.Title(f.Name)
		out[title] = p.parsed[title]
	}
	return out
}

// foreign finds modules in a package that is not a team's. Package gateway belongs
// to the gateway, so such a module is not even compiled; another would be read by
// nobody, and so allow.
func foreign(modules map[string]*ast.Module) (found Findings) {
	for _, title := range slices.Sorted(maps.Keys(modules)) {
		p := modules[title].Package
		if len(p.Path) == 4 && p.Path[1].Equal(ast.StringTerm("policy")) {
			switch string(p.Path[2].Value.(ast.String)) {
			case "deny", "obligations", "lib":
				continue
			}
		}
		found = append(found, Finding{
			File: title, Line: p.Location.Row, Check: "package", Msg: "nothing reads package " + strings.TrimPrefix(p.Path.String(), "data."),
			Cure: "name it policy.deny.<team>, policy.obligations.<team> or policy.lib.<name>; package gateway belongs to the gateway",
		})
	}
	return found
}

// parse parses the rules of the bundles, with their annotations.
func parse(bundles []*bundle.Bundle, v ast.RegoVersion) (map[string]*ast.Module, error) {
	modules := map[string]*ast.Module{}
	var found Findings
	for _, b := range bundles {
		for _, f := range b.Rules {
			m, err := parsed(b.Title(f.Name), f.Text, v)
			if err != nil {
				found = append(found, placed(CompileFindings(err), b.Title(f.Name))...)
				continue
			}
			modules[b.Title(f.Name)] = m
		}
	}
	return modules, found.Err()
}

// placed gives a file to the findings that have none, as those of an empty file.
func placed(found Findings, title string) Findings {
	for i := range found {
		if found[i].File == "" {
			found[i].File, found[i].Line = title, 1
		}
	}
	return found
}

// parsed is the module of a file: of one that every program embeds, that which was parsed
// once for all of them.
func parsed(title string, text []byte, v ast.RegoVersion) (*ast.Module, error) {
	if e, ok := embedded()[title]; ok && v == ast.RegoV1 && bytes.Equal(e.text, text) {
		return e.module, nil
	}
	return ParseFile(title, text, v)
}

// embedded are the rules of the embedded bundle, by title. The compiler works on copies of
// modules, so programs can share them.
var embedded = sync.OnceValue(func() map[string]file {
	out := map[string]file{}
	core, err := bundle.Core()
	if err != nil {
		return out // whoever compiles it is told
	}
	for _, f := range core.Rules {
		if m, err := ParseFile(core.Title(f.Name), f.Text, ast.RegoV1); err == nil {
			out[core.Title(f.Name)] = file{f.Text, m}
		}
	}
	return out
})

// file is a file of rules and what it says.
type file struct {
	text   []byte
	module *ast.Module
}

// ParseFile parses one file as a policy's. A file without an import of a version
// is of the version v.
func ParseFile(title string, text []byte, v ast.RegoVersion) (*ast.Module, error) {
	return ast.ParseModuleWithOpts(title, string(text), ast.ParserOptions{
		ProcessAnnotation: true, RegoVersion: v, Capabilities: Capabilities(),
	})
}

// Syntax are the findings of a file, by its full name, that no version of the language can
// parse. It is for a policy whose data, which say the version, cannot be read.
func Syntax(f bundle.File) Findings {
	if _, err := ParseFile(f.Name, f.Text, ast.RegoV0); err == nil {
		return nil
	}
	if _, err := ParseFile(f.Name, f.Text, ast.RegoV1); err != nil {
		return placed(CompileFindings(err), f.Name)
	}
	return nil
}

func (p *Program) compile(ctx context.Context, modules map[string]*ast.Module) error {
	if p.store == nil {
		p.store = inmem.NewFromASTObject(storedObject(p.stored()))
		p.ends = ends(p.Data)
	}
	schemas, err := inputSchema()
	if err != nil {
		return err
	}
	p.compiler = ast.NewCompiler().WithStrict(true).WithCapabilities(Capabilities()).WithSchemas(schemas).
		WithUseTypeCheckAnnotations(true)
	txn, err := p.store.NewTransaction(ctx)
	if err != nil {
		return err
	}
	defer p.store.Abort(ctx, txn)
	p.compiler.WithPathConflictsCheck(storage.NonEmpty(ctx, p.store, txn))
	if p.compiler.Compile(modules); p.compiler.Failed() {
		return CompileFindings(p.compiler.Errors)
	}
	p.reads = document.NewReads(append(readsOf(p.compiler.Modules), p.patterns.reads()...)).In(p.zone)
	p.writer = p.newWriter(p.reads)
	p.team = document.NewReads(readsOf(p.compiled(p.Team)))
	p.marks = p.marked()
	p.placed = (p.team.Any("resource") || len(p.Data.Owned()) > 0) && !blurred(p.TeamModules())
	p.allowed, p.refused = p.rule("data.gateway.allowed"), p.rule("data.gateway.refused")
	p.question, err = newQuestion(ctx, p.document(), p.compiler, p.store)
	return err
}
