// SPDX-License-Identifier: Apache-2.0

package house

import (
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// source is one Go file of the module.
type source struct {
	path string // below the module, with slashes
	text string
	tree *ast.File
	set  *token.FileSet
}

func (s source) dir() string { return path.Dir(s.path) }
func (s source) test() bool  { return strings.HasSuffix(s.path, "_test.go") }

// at gives "path:line" of a node.
func (s source) at(node ast.Node) string {
	position := s.set.Position(node.Pos())
	position.Filename = s.path
	position.Column = 0
	return position.String()
}

// sources parses every Go file of the module, whatever its build tags.
func sources(t *testing.T) []source {
	t.Helper()
	root := testenv.ModuleRoot(t)
	set := token.NewFileSet()
	var all []source
	err := filepath.WalkDir(root, func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && at != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin") {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(at)
		if err != nil {
			return err
		}
		below, err := filepath.Rel(root, at)
		if err != nil {
			return err
		}
		tree, err := parser.ParseFile(set, at, text, parser.ParseComments)
		if err != nil {
			return err
		}
		all = append(all, source{filepath.ToSlash(below), string(text), tree, set})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d Go files below %s: the walk is wrong", len(all), root)
	}
	return all
}

const (
	spdx         = "// SPDX-License-Identifier: Apache-2.0\n"
	fileLines    = 400  // a file that is read in one sitting
	testLines    = 600  // a test file, whose parts are read alone
	packageLines = 1500 // of code, without tests, comments and empty lines
)

func TestFiles(t *testing.T) {
	lines := map[string]int{}
	for _, file := range sources(t) {
		if !strings.HasPrefix(file.text, spdx) {
			t.Errorf("%s: the first line isn't %q", file.path, strings.TrimSpace(spdx))
		}
		n, most := strings.Count(file.text, "\n"), fileLines
		if file.test() {
			most = testLines
		}
		if n >= most {
			t.Errorf("%s: %d lines, %d are too many: part it by what its pieces do", file.path, n, most)
		}
		if !file.test() {
			lines[file.dir()] += codeLines(file.text)
		}
		top, _, nested := strings.Cut(file.path, "/")
		switch top {
		case "cmd", "fusefs", "cgroupread", "runtime", "test":
		default:
			nested = false
		}
		if !nested {
			t.Errorf("%s: Go code stands in cmd, fusefs, cgroupread, runtime and test only", file.path)
		}
	}
	for dir, n := range lines {
		if n >= packageLines {
			t.Errorf("%s: %d lines of code, %d are too many for one package", dir, n, packageLines)
		}
	}
}

// codeLines counts the lines on which some token that is no comment starts.
func codeLines(text string) int {
	var scan scanner.Scanner
	set := token.NewFileSet()
	scan.Init(set.AddFile("", -1, len(text)), []byte(text), nil, 0)
	lines := map[int]bool{}
	for {
		at, tok, literal := scan.Scan()
		if tok == token.EOF {
			return len(lines)
		}
		if tok != token.SEMICOLON || literal == ";" { // an inserted one is the line's end
			lines[set.Position(at).Line] = true
		}
	}
}

// TestPackageComments wants a comment that tells what the package is, in one
// file of each.
func TestPackageComments(t *testing.T) {
	comments := map[string][]string{}
	for _, file := range sources(t) {
		if file.test() {
			continue
		}
		dir := file.dir()
		comments[dir] = append(comments[dir], file.tree.Doc.Text())
	}
	for dir, all := range comments {
		text := strings.Join(all, "")
		want := "Package " + path.Base(dir) + " "
		if strings.HasPrefix(dir, "cmd/") {
			want = "Command " + path.Base(dir) + " "
		}
		if !strings.Contains(text, want) {
			t.Errorf("%s: no package comment that starts with %q", dir, want)
		}
		switch path.Base(dir) {
		case "util", "utils", "common", "helpers", "types", "manager":
			t.Errorf("%s: the name doesn't say what it does", dir)
		}
	}
}

// TestArchitectureNamesPackages wants each package of the program in the table of
// docs/ARCHITECTURE.md: by its path, or by its name in the row of the package above.
func TestArchitectureNamesPackages(t *testing.T) {
	text, err := os.ReadFile("../../docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, row, ok := strings.Cut(strings.TrimPrefix(line, "| `"), "` |"); ok && strings.HasPrefix(line, "| `") {
			rows[name] = row
		}
	}
	seen := map[string]bool{}
	for _, file := range sources(t) {
		dir := file.dir()
		if file.test() || seen[dir] || strings.HasPrefix(dir, "test/") || strings.HasPrefix(dir, "cmd/") {
			continue
		}
		seen[dir] = true
		if _, ok := rows[dir]; !ok && !strings.Contains(rows[path.Dir(dir)], "`"+path.Base(dir)+"`") {
			t.Errorf("%s isn't in the table of docs/ARCHITECTURE.md", dir)
		}
	}
}

// TestNoWrittenGlobals lets packages have sentinel errors and tables, and
// nothing that changes while the program runs.
func TestNoWrittenGlobals(t *testing.T) {
	all := sources(t)
	globals := map[string]map[string]bool{} // directory → names
	for _, file := range all {
		if globals[file.dir()] == nil {
			globals[file.dir()] = map[string]bool{}
		}
		for _, decl := range file.tree.Decls {
			vars, ok := decl.(*ast.GenDecl)
			if !ok || vars.Tok != token.VAR {
				continue
			}
			for _, spec := range vars.Specs {
				value, ok := spec.(*ast.ValueSpec)
				if !ok {
					continue
				}
				for _, name := range value.Names {
					globals[file.dir()][name.Name] = true
				}
				if kind, ok := value.Type.(*ast.SelectorExpr); ok {
					if from, ok := kind.X.(*ast.Ident); ok && (from.Name == "sync" || from.Name == "atomic") {
						t.Errorf("%s: a package's variable that is made to change", file.at(value))
					}
				}
			}
		}
	}
	for _, file := range all {
		written := func(target ast.Expr) {
			if name := base(target); name != nil && globals[file.dir()][name.Name] && !file.local(name) && name.Name != "_" {
				t.Errorf("%s: writes to the package's variable %s: give it to a constructor", file.at(target), name.Name)
			}
		}
		ast.Inspect(file.tree, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.FuncDecl:
				// What all tests of a package share is set before they run.
				return node.Name.Name != "TestMain"
			case *ast.AssignStmt:
				if node.Tok != token.DEFINE {
					for _, target := range node.Lhs {
						written(target)
					}
				}
			case *ast.IncDecStmt:
				written(node.X)
			case *ast.UnaryExpr:
				// A pointer into a table is how large rows are handed out.
				if _, whole := node.X.(*ast.Ident); whole && node.Op == token.AND {
					written(node.X)
				}
			}
			return true
		})
	}
}

// base gives the variable that an assignment to a.b[c].d changes.
func base(target ast.Expr) *ast.Ident {
	for {
		switch at := target.(type) {
		case *ast.Ident:
			return at
		case *ast.SelectorExpr:
			target = at.X
		case *ast.IndexExpr:
			target = at.X
		case *ast.ParenExpr:
			target = at.X
		case *ast.StarExpr:
			target = at.X
		default:
			return nil
		}
	}
}

// local says whether a name was declared in a function. The parser resolves
// names within one file, to an object of the file's scope or of one inside it;
// what another file declares has none.
func (s source) local(name *ast.Ident) bool {
	return name.Obj != nil && s.tree.Scope.Lookup(name.Name) != name.Obj
}
