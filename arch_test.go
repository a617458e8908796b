// Package whimbrel_test holds the shape of the program: which folder may know which, and what is not to be found anywhere.
package whimbrel_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/whimbrel/whimbrel/"

// arrows says for every folder which others of this module it may import; tests may import anything. Imports run one way,
// from the bottom of this list to its top: a folder names what it needs, and nothing else. A new folder gets a line here.
var arrows = []struct{ folder, may string }{
	{"row", ""},
	{"schema", "row"},
	{"db/driver", "row schema"},
	{"db/driver/drivertest", "row schema db/driver"},
	{"db/*", "row schema db/driver"}, // drivers never know each other
	{"db", "row schema db/driver"},   // opens by URL what it was given: not which drivers there are

	{"internal/failpoint", ""},
	{"internal/strict", ""},                                    // YAML that people write
	{"internal/plain", ""},                                     // what others named, for people
	{"internal/procedure", "internal/failpoint"},               // knows nothing of databases
	{"internal/work", "internal/failpoint internal/procedure"}, // nor does this
	{"internal/state", "row internal/procedure internal/work"}, // what a run remembers

	{"internal/check", "row schema db db/driver internal/plain"},
	{"internal/translate", "row schema db/driver internal/check"},
	{"internal/load", "row schema db db/driver internal/failpoint"},
	{"internal/replay", "row schema db db/driver internal/failpoint internal/load"},
	{"internal/verify", "row schema db db/driver internal/failpoint internal/load"},

	{"internal/plan", "row schema db db/driver internal/check internal/translate internal/load"},
	{"internal/transform", "row schema db/driver internal/plain"},
	{"internal/release", "internal/strict internal/transform row schema db db/driver internal/check internal/translate internal/load internal/verify internal/procedure"},

	{"internal/move", "row schema db db/driver internal/failpoint internal/plain internal/procedure internal/work internal/state internal/check " +
		"internal/translate internal/load internal/replay internal/verify internal/plan internal/release " +
		"internal/strict internal/transform"},
	{"internal/console", "row schema internal/procedure internal/state internal/check internal/plan internal/move"},
	{"internal/demo", "row schema internal/procedure internal/state internal/move internal/console"},
	{"cmd/whimbrel", "*"}, // the only place that knows all drivers

	// For tests only: nobody above may import these.
	{"internal/testserver", ""},
	{"internal/faultproxy", ""},
	{"internal/simulation", ""},
	{"internal/e2e", "internal/testserver internal/e2e/oracle internal/e2e/shop"},
	{"internal/e2e/*", ""}, // the oracle and the shop share no code with what they judge
	{"bench", "internal/testserver"},
	{"examples/*", ""}, // applications as a move finds them: they know nothing of it
	{".", ""},
}

// judges are the folders that only tests use: they talk to products by themselves.
var judges = []string{"internal/testserver", "internal/faultproxy", "internal/e2e", "bench"}

// source is one Go file.
type source struct {
	path  string
	lines int
	set   *token.FileSet
	file  *ast.File
}

func (s source) folder() string { return path.Dir(s.path) }

func (s source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

// at is a place in the file, for people.
func (s source) at(p token.Pos) string {
	return fmt.Sprintf("%s:%d", s.path, s.set.Position(p).Line)
}

func parse(t *testing.T, name, text string) source {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return source{path: name, lines: strings.Count(text, "\n"), set: set, file: file}
}

// program reads every Go file of this module.
func program(t *testing.T) []source {
	t.Helper()
	var all []source
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, other := os.Stat(path.Join(name, "go.mod"))
			if name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || other == nil) {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, ".go") {
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			all = append(all, parse(t, name, string(text)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Fatalf("only %d files found", len(all))
	}
	return all
}

// A rule looks at one file and says what is wrong with it.
type rule struct {
	name  string
	check func(source) []string
	wrong []example // files that break the rule
	right []example // files that do not
}

type example struct{ path, text string }

var rules = []rule{
	{
		name: "imports run one way", check: imports,
		wrong: []example{
			{"row/a.go", `package row; import _ "github.com/whimbrel/whimbrel/schema"`},
			{"schema/a.go", `package schema; import _ "github.com/whimbrel/whimbrel/db/driver"`},
			{"db/driver/a.go", `package driver; import _ "github.com/whimbrel/whimbrel/db/postgres"`},
			{"db/postgres/a.go", `package postgres; import _ "github.com/whimbrel/whimbrel/db/mysql"`},
			{"db/postgres/a.go", `package postgres; import _ "github.com/whimbrel/whimbrel/internal/load"`},
			{"internal/load/a.go", `package load; import _ "github.com/whimbrel/whimbrel/db/postgres"`},
			{"internal/load/a.go", `package load; import _ "github.com/whimbrel/whimbrel/internal/replay"`},
			{"internal/procedure/a.go", `package procedure; import _ "github.com/whimbrel/whimbrel/db/driver"`},
			{"internal/work/a.go", `package work; import _ "github.com/whimbrel/whimbrel/schema"`},
			{"internal/plan/a.go", `package plan; import _ "github.com/whimbrel/whimbrel/internal/move"`},
			{"internal/move/a.go", `package move; import _ "github.com/whimbrel/whimbrel/db/sqlite"`},
			{"internal/move/a.go", `package move; import _ "github.com/whimbrel/whimbrel/db/memory"`},
			{"internal/move/a.go", `package move; import _ "github.com/whimbrel/whimbrel/internal/testserver"`},
			{"internal/e2e/oracle/a.go", `package oracle; import _ "github.com/whimbrel/whimbrel/row"`},
			{"internal/unheard/a.go", `package unheard`},
		},
		right: []example{
			{"cmd/whimbrel/a.go", `package main; import _ "github.com/whimbrel/whimbrel/db/postgres"`},
			{"internal/load/a_test.go", `package load_test; import _ "github.com/whimbrel/whimbrel/db/memory"`},
			{"internal/replay/a.go", `package replay; import _ "github.com/whimbrel/whimbrel/internal/load"`},
			{"db/newcomer/a.go", `package newcomer; import ("fmt"; "github.com/jackc/pgx/v5"; "github.com/whimbrel/whimbrel/db/driver")`},
		},
	},
	{
		name: "nobody asks which product it is", check: products,
		wrong: []example{
			{"internal/move/a.go", `package move; func f(d D) { switch d.Info.Product { case "sqlite": } }`},
			{"internal/load/a.go", `package load; var b = d.Info.Product == "postgres"`},
			{"internal/load/a.go", `package load; var b = "mysql" != info.Product`},
			{"internal/check/a.go", `package check; var f = rules[d.Info.Product]`},
			{"internal/check/a.go", `package check; import "strings"; var f = strings.HasPrefix(d.Info.Product, "m")`},
			{"internal/check/a.go", `package check; func f(d D) { switch { case d.Info.Product == "x": } }`},
		},
		right: []example{
			{"db/mysql/a.go", `package mysql; var maria = d.Info.Product == "mariadb"`},
			{"internal/translate/a.go", `package translate; var same = from.Product == to.Product`},
			{"internal/move/a.go", `package move; import "fmt"; var s = fmt.Sprint(d.Info.Product)`},
			{"internal/move/a_test.go", `package move; var b = d.Info.Product == "postgres"`},
		},
	},
	{
		name: "no file is longer than 500 lines", check: long,
		wrong: []example{{"row/a.go", "package row\n" + strings.Repeat("// more\n", 500)}},
		right: []example{{"row/a.go", "package row\n" + strings.Repeat("// more\n", 499)}, {"row/a_test.go", "package row\n" + strings.Repeat("// more\n", 900)}},
	},
	{
		name: "no package is a drawer", check: drawers,
		wrong: []example{
			{"internal/util/a.go", `package util`},
			{"internal/load/helpers/a.go", `package x`},
			{"db/common/a.go", `package common`},
			{"internal/manager/a.go", `package manager`},
			{"internal/load/a.go", `package base`},
			{"internal/stringutil/a.go", `package stringutil`},
		},
		right: []example{{"internal/load/a.go", `package load`}},
	},
	{
		name: "rows know no any", check: anys,
		wrong: []example{
			{"row/a.go", `package row; func f(v any) {}`},
			{"row/a.go", `package row; type cells []interface{}`},
			{"row/a.go", `package row; var m map[string]any`},
			{"row/a.go", `package row; func f[T any](v T) {}`},
		},
		right: []example{
			{"row/a.go", `package row; type i interface{ Len() int }; var many = 1`},
			{"row/a_test.go", `package row; var v any`},
			{"schema/a.go", `package schema; var v any`},
		},
	},
}

// TestArchitecture holds the rules over the whole program.
func TestArchitecture(t *testing.T) {
	files := program(t)
	for _, r := range rules {
		t.Run(strings.ReplaceAll(r.name, " ", "-"), func(t *testing.T) {
			for _, f := range files {
				for _, fault := range r.check(f) {
					t.Error(fault)
				}
			}
		})
	}
}

// TestTheRulesFindViolations is the test of the test: each rule sees files that break it, and passes files that do not.
func TestTheRulesFindViolations(t *testing.T) {
	for _, r := range rules {
		for _, e := range r.wrong {
			if got := r.check(parse(t, e.path, e.text)); len(got) == 0 {
				t.Errorf("%s: not seen in %s: %.120s", r.name, e.path, e.text)
			}
		}
		for _, e := range r.right {
			if got := r.check(parse(t, e.path, e.text)); len(got) > 0 {
				t.Errorf("%s: %s: %.120s is said to be wrong: %v", r.name, e.path, e.text, got)
			}
		}
	}
}

// TestArrowsHaveNoCircle: what a folder may import stands above it in the list.
func TestArrowsHaveNoCircle(t *testing.T) {
	level := map[string]int{}
	for i, a := range arrows {
		level[a.folder] = i
	}
	for i, a := range arrows {
		for _, m := range strings.Fields(a.may) {
			at, known := level[m]
			if m == "*" || strings.HasPrefix(a.folder, "internal/e2e") {
				continue
			}
			if !known || at >= i {
				t.Errorf("%s may import %s, which does not stand above it", a.folder, m)
			}
		}
	}
}

// may returns what a folder may import; false for a folder that is not in the list.
func may(folder string) (string, bool) {
	for _, a := range arrows {
		if a.folder == folder {
			return a.may, true
		}
	}
	for _, a := range arrows {
		if ok, _ := path.Match(a.folder, folder); ok {
			return a.may, true
		}
	}
	return "", false
}

func imports(s source) []string {
	allowed, known := may(s.folder())
	if !known {
		return []string{s.path + ": this folder has no line in arrows (arch_test.go): say what it may import"}
	}
	if s.test() || allowed == "*" {
		return nil
	}
	var faults []string
	for _, i := range s.file.Imports {
		name, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return []string{err.Error()}
		}
		other, ours := strings.CutPrefix(name, module)
		if ours && !slices.Contains(strings.Fields(allowed), other) {
			faults = append(faults, fmt.Sprintf("%s: %s may not import %s", s.at(i.Pos()), s.folder(), other))
		}
	}
	return faults
}

// products finds places outside the drivers where something depends on Info.Product: a comparison with anything but
// another Product, a switch, an index, a string function. Showing it to people is free.
func products(s source) []string {
	free := s.test() || strings.HasPrefix(s.path, "db/") || slices.ContainsFunc(judges, func(f string) bool {
		return s.folder() == f || strings.HasPrefix(s.folder(), f+"/")
	})
	if free {
		return nil
	}
	var faults []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		if n != nil && asks(n) {
			faults = append(faults, s.at(n.Pos())+": asks which product it is; use a nil role or a value in Limits")
		}
		return true
	})
	return faults
}

func asks(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.SwitchStmt:
		return product(n.Tag)
	case *ast.IndexExpr:
		return product(n.Index)
	case *ast.BinaryExpr:
		return (n.Op == token.EQL || n.Op == token.NEQ) && product(n.X) != product(n.Y)
	case *ast.CallExpr:
		f, ok := n.Fun.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		from, ok := f.X.(*ast.Ident)
		return ok && (from.Name == "strings" || from.Name == "slices") && slices.ContainsFunc(n.Args, product)
	}
	return false
}

func product(e ast.Expr) bool {
	sel, ok := e.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "Product"
}

func long(s source) []string {
	if s.test() || s.lines <= 500 {
		return nil
	}
	return []string{fmt.Sprintf("%s: %d lines", s.path, s.lines)}
}

// drawers finds names that say nothing about what is inside.
func drawers(s source) []string {
	for _, name := range append(strings.Split(s.folder(), "/"), strings.TrimSuffix(s.file.Name.Name, "_test")) {
		for _, bad := range []string{"util", "utils", "helper", "helpers", "manager", "managers", "base", "common", "misc", "shared", "lib"} {
			if name == bad || len(bad) >= 4 && bad != "base" && strings.HasSuffix(name, bad) {
				return []string{s.path + ": " + name + " says nothing about what is inside"}
			}
		}
	}
	return nil
}

func anys(s source) []string {
	if s.test() || s.folder() != "row" {
		return nil
	}
	var faults []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			if n.Name == "any" {
				faults = append(faults, s.at(n.Pos())+": any")
			}
		case *ast.InterfaceType:
			if len(n.Methods.List) == 0 {
				faults = append(faults, s.at(n.Pos())+": interface{}")
			}
		}
		return true
	})
	return faults
}
