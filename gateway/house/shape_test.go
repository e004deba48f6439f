package house_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// TestSizes: things stay small enough to be read at once.
func TestSizes(t *testing.T) {
	var files, funcs []int
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		files = append(files, strings.Count(s.text, "\n"))
		for _, d := range s.ast.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			n := s.lines(f)
			funcs = append(funcs, n)
			if n > 80 {
				t.Errorf("%s: %s has %d lines, 80 are the most", s.at(f), f.Name.Name, n)
			}
			if p := params(f); p > 4 {
				t.Errorf("%s: %s has %d parameters, 4 are the most", s.at(f), f.Name.Name, p)
			}
		}
	}
	if p := p90(funcs); p > 40 {
		t.Errorf("functions: the 90th percentile is %d lines, 40 are the most", p)
	}
	if p := p90(files); p > 450 {
		t.Errorf("files: the 90th percentile is %d lines, 450 are the most", p)
	}
}

// params counts what a function is told, beside the context or test that it is
// told it in.
func params(f *ast.FuncDecl) int {
	n := f.Type.Params.NumFields()
	if n > 0 && strings.Contains(" context.Context testing.TB ", " "+selector(f.Type.Params.List[0].Type)+" ") {
		n--
	}
	return n
}

func p90(ns []int) int {
	slices.Sort(ns)
	return ns[len(ns)*9/10]
}

// TestPackageDocs: every package says its rule in its first sentence, in one file.
func TestPackageDocs(t *testing.T) {
	docs := map[string]int{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		docs[s.dir()] += 0
		if s.ast.Doc == nil {
			continue
		}
		docs[s.dir()]++
		text := s.ast.Doc.Text()
		if want := "Package " + s.ast.Name.Name + " "; s.ast.Name.Name != "main" && !strings.HasPrefix(text, want) {
			t.Errorf("%s: the doc comment does not begin with %q", s.path, want)
		}
	}
	for dir, n := range docs {
		if n != 1 {
			t.Errorf("%s: %d files have a package comment, want 1", dir, n)
		}
	}
}

// TestExportedDocs: every exported name of the gateway says what it is.
func TestExportedDocs(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || s.ast.Name.Name == "main" {
			continue
		}
		for _, d := range s.ast.Decls {
			if name := undocumented(d); name != "" {
				t.Errorf("%s: %s has no doc comment", s.at(d), name)
			}
		}
	}
}

// undocumented names what a declaration exports without a word about it.
func undocumented(d ast.Decl) string {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) && !wellKnown(d) {
			return d.Name.Name
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if s, ok := spec.(*ast.TypeSpec); ok && s.Name.IsExported() && d.Doc == nil && s.Doc == nil {
				return s.Name.Name
			}
		}
	}
	return ""
}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	id, ok := typ.(*ast.Ident)
	return ok && id.IsExported()
}

// wellKnown: methods whose meaning everybody knows.
func wellKnown(d *ast.FuncDecl) bool {
	return d.Recv != nil && strings.Contains(" Error Unwrap Is String GoString LogValue MarshalText MarshalJSON UnmarshalText UnmarshalJSON Write Read Close Len Less Swap ", " "+d.Name.Name+" ")
}

// TestNames: no package is a drawer for what belongs nowhere.
func TestNames(t *testing.T) {
	for _, s := range sources(t) {
		if strings.Contains(" util utils common helpers types models manager service misc base ", " "+s.ast.Name.Name+" ") {
			t.Errorf("%s: %s is not a noun of the domain", s.path, s.ast.Name.Name)
		}
	}
}

// TestForbidden: what no code of ours does. Each rule says where it may be.
func TestForbidden(t *testing.T) {
	for _, s := range sources(t) {
		for _, why := range forbidden(s) {
			t.Error(why)
		}
	}
}

// TestForbiddenShown: each rule finds what it is there for.
func TestForbiddenShown(t *testing.T) {
	for path, body := range map[string]string{
		"gateway/x/a.go":      "func init() {}",
		"gateway/x/b.go":      "var x = os.Getenv(`X`)",
		"gateway/x/c.go":      "func f() { fmt.Println(1) }",
		"gateway/x/d.go":      "func f() { http.DefaultClient.Do(nil) }",
		"gateway/x/e_test.go": "func f() { time.Sleep(1) }",
		"gateway/x/j_test.go": "func f() { <-time.After(1) }",
		"gateway/x/f_test.go": "func f(t *testing.T) { t.Skip() }",
		"gateway/x/g.go":      "var Table = map[string]int{}",
		"gateway/x/h.go":      "var table = map[string]int{}; func f() { table[`x`] = 1 }",
		"gateway/x/i.go":      "var state int",
	} {
		s, err := parseText(path, "package x\n"+body)
		if err != nil {
			t.Fatal(err)
		}
		if len(forbidden(s)) == 0 {
			t.Errorf("%q is not found", body)
		}
	}
}

func forbidden(s source) (why []string) {
	complain := func(n ast.Node, format string, args ...any) {
		why = append(why, s.at(n)+": "+fmt.Sprintf(format, args...))
	}
	for _, d := range s.ast.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			complain(f, "init() is not used")
		}
		if name := global(s, d); name != "" {
			complain(d, "%s is a variable of the package: only metrics, embeds and what never changes may be one", name)
		}
	}
	ast.Inspect(s.ast, func(n ast.Node) bool {
		if sleeps(n) && !strings.Contains(s.text, `"testing/synctest"`) {
			complain(n, "waits on the clock for nothing else: use retry.Sleep, or e2e.Eventually in a test")
		}
		name := selector(n)
		for rule, may := range calls {
			if name != "" && strings.Contains(" "+rule+" ", " "+name+" ") && !may(s) {
				complain(n, "%s is not used here", name)
			}
		}
		return true
	})
	return why
}

// calls are names that only some files may use.
var calls = map[string]func(source) bool{
	"os.Getenv os.LookupEnv os.Environ": func(s source) bool {
		return s.test || s.dir() == "gateway/config" || isTestSupport(s.dir()) || isCommand(s)
	},
	"fmt.Print fmt.Println fmt.Printf": func(s source) bool { return s.test || isCommand(s) },
	"http.DefaultClient http.Get http.Post": func(s source) bool {
		return s.test || isTestSupport(s.dir()) || isCommand(s)
	},
	"time.Sleep":               func(s source) bool { return !s.test || strings.Contains(s.text, `"testing/synctest"`) },
	"t.Skip t.Skipf t.SkipNow": func(s source) bool { return !s.test },
}

// sleeps reports a block with a statement <-time.After(d), which is time.Sleep under
// another name; a case of a select is none.
func sleeps(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BlockStmt:
		return slices.ContainsFunc(n.List, afterAlone)
	case *ast.CommClause:
		return slices.ContainsFunc(n.Body, afterAlone)
	case *ast.CaseClause:
		return slices.ContainsFunc(n.Body, afterAlone)
	case *ast.ForStmt:
		return n.Post != nil && afterAlone(n.Post)
	}
	return false
}

func afterAlone(n ast.Stmt) bool {
	s, ok := n.(*ast.ExprStmt)
	if !ok {
		return false
	}
	receive, ok := s.X.(*ast.UnaryExpr)
	if !ok || receive.Op != token.ARROW {
		return false
	}
	c, ok := receive.X.(*ast.CallExpr)
	return ok && selector(c.Fun) == "time.After"
}

// isCommand: main packages talk to people.
func isCommand(s source) bool { return s.ast.Name.Name == "main" }

// selector is the text of x.Y, empty for anything else.
func selector(n ast.Node) string {
	if sel, ok := n.(*ast.SelectorExpr); ok {
		if x, ok := sel.X.(*ast.Ident); ok {
			return x.Name + "." + sel.Sel.Name
		}
	}
	return ""
}

// global names a variable of the package that could change.
func global(s source, d ast.Decl) string {
	g, ok := d.(*ast.GenDecl)
	if !ok || g.Tok.String() != "var" || s.test || isCommand(s) {
		return ""
	}
	for _, spec := range g.Specs {
		v := spec.(*ast.ValueSpec)
		embedded := (g.Doc != nil || v.Doc != nil) && strings.Contains(s.text, "//go:embed")
		if v.Names[0].Name == "_" || embedded {
			continue
		}
		if name := v.Names[0]; len(v.Values) == 0 || !fixed(v.Values[0]) && !table(s, name, v.Values[0]) {
			return name.Name
		}
	}
	return ""
}

// table: a literal that stays in the package, and that its file does not write to.
func table(s source, name *ast.Ident, v ast.Expr) bool {
	_, literal := v.(*ast.CompositeLit)
	written := false
	ast.Inspect(s.ast, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok && a.Tok == token.ASSIGN {
			for _, to := range a.Lhs {
				if i, ok := to.(*ast.IndexExpr); ok {
					to = i.X
				}
				id, ok := to.(*ast.Ident)
				written = written || ok && id.Name == name.Name
			}
		}
		return true
	})
	return literal && !name.IsExported() && !written
}

// fixed: the results of these are never changed.
func fixed(e ast.Expr) bool {
	c, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	name := selector(c.Fun)
	return strings.HasPrefix(name, "metrics.") || strings.Contains(
		" regexp.MustCompile errors.New sync.OnceValue sync.OnceValues json.JoinOptions strings.NewReplacer netip.MustParsePrefix maphash.MakeSeed ", " "+name+" ")
}
