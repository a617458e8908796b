package transform

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"

	"github.com/whimbrel/whimbrel/schema"
)

// origin is one of the two that can have a row of a key.
type origin int

const (
	users origin = iota
	release
)

// originNames are the words of expressions.
var originNames = [...]string{users: "source", release: "release"}

// choice is an expression over both rows of a key that gives one of them, compiled. It holds nothing that changes. Where a
// column that it uses is NULL it gives the users' row, unless it says what then: with ??, == nil or != nil.
type choice struct {
	program *vm.Program
	uses    [2][]string // columns of the table's new form, by the row they are used of
	strict  [2][]string // those that leave it to the users' row when they are NULL
}

// compileChoice reads an expression over two rows of a table and checks its types, and that it gives one of them.
func compileChoice(text string, t *schema.Table) (*choice, error) {
	tree, err := parser.Parse(text)
	if err != nil {
		return nil, errors.New(firstLine(err))
	}
	seen := rowsSeen{right: map[ast.Node]bool{}}
	for i := range seen.used {
		seen.used[i], seen.aware[i] = map[string]bool{}, map[string]bool{}
	}
	if err := seen.result(tree.Node); err != nil {
		return nil, err
	}
	ast.Walk(&tree.Node, &seen)
	for _, n := range seen.rows {
		if !seen.right[n] {
			return nil, fmt.Errorf("%s stands for a row; write %[1]s.column for what is in it", n.Value)
		}
	}
	fields := types.Map{}
	for _, c := range t.Columns {
		fields[c.Name] = types.TypeOf(reflect.Zero(valueType(naturalKind(c.Type))).Interface())
	}
	made := &choice{}
	for i := range seen.used {
		for _, name := range slices.Sorted(maps.Keys(seen.used[i])) {
			if t.Column(name) == nil {
				return nil, fmt.Errorf("%s has no column %s in its new form%s", t.Name, name, alike(name, t))
			}
			if made.uses[i] = append(made.uses[i], name); !seen.aware[i][name] {
				made.strict[i] = append(made.strict[i], name)
			}
		}
	}
	options := append(functions(), expr.Env(types.Map{originNames[users]: fields, originNames[release]: fields}))
	if made.program, err = expr.Compile(text, options...); err != nil {
		return nil, errors.New(firstLine(err))
	}
	return made, nil
}

// rowsSeen notes the columns that an expression uses of both rows, and where a row itself is named: it may be as the
// expression's result and before the name of a column.
type rowsSeen struct {
	used, aware [2]map[string]bool
	rows        []*ast.IdentifierNode
	right       map[ast.Node]bool // those that stand where a row may
}

// result checks that a part of the expression whose value the whole may have is one of the rows.
func (s *rowsSeen) result(n ast.Node) error {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		if _, row := originOf(n); row {
			s.right[n] = true
			return nil
		}
	case *ast.ConditionalNode:
		return errors.Join(s.result(n.Exp1), s.result(n.Exp2))
	case *ast.VariableDeclaratorNode:
		return s.result(n.Expr)
	}
	return errors.New("the expression must give one of the two rows, source or release, as in: source.changed ? source : release")
}

func originOf(n ast.Node) (origin, bool) {
	name, is := n.(*ast.IdentifierNode)
	if !is {
		return 0, false
	}
	i := slices.Index(originNames[:], name.Value)
	return origin(i), i >= 0
}

// Visit is called for every node.
func (s *rowsSeen) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		if _, row := originOf(n); row || n.Value == "$env" {
			s.rows = append(s.rows, n)
		}
	case *ast.MemberNode:
		if from, name, ok := columnOf(n); ok {
			s.used[from][name] = true
			s.right[n.Node] = true
		}
	case *ast.BinaryNode:
		_, nilLeft := n.Left.(*ast.NilNode)
		_, nilRight := n.Right.(*ast.NilNode)
		switch {
		case n.Operator == "??", nilRight:
			s.know(n.Left)
		case nilLeft:
			s.know(n.Right)
		}
	}
}

func (s *rowsSeen) know(n ast.Node) {
	if chain, is := n.(*ast.ChainNode); is {
		n = chain.Node
	}
	if from, name, ok := columnOf(n); ok {
		s.aware[from][name] = true
	}
}

// columnOf reads source.name, source["name"] and the same of the release's row.
func columnOf(n ast.Node) (origin, string, bool) {
	member, is := n.(*ast.MemberNode)
	if !is {
		return 0, "", false
	}
	from, row := originOf(member.Node)
	name, word := member.Property.(*ast.StringNode)
	if !row || !word {
		return 0, "", false
	}
	return from, name.Value, true
}

// run evaluates the expression over the values of both rows and says which one it gives.
func (c *choice) run(machine *vm.VM, rows [2]map[string]any) (origin, error) {
	for i, names := range c.strict {
		for _, name := range names {
			if rows[i][name] == nil {
				return users, nil
			}
		}
	}
	value, err := machine.Run(c.program, map[string]any{originNames[users]: rows[users], originNames[release]: rows[release]})
	var why *reason
	switch {
	case errors.As(err, &why):
		return users, why
	case err != nil: // its text may hold the values
		return users, errors.New("can not be computed from the values of these two rows")
	}
	given, is := value.(map[string]any)
	if !is {
		return users, errors.New("gives neither of the two rows")
	}
	if reflect.ValueOf(given).Pointer() == reflect.ValueOf(rows[release]).Pointer() {
		return release, nil
	}
	return users, nil
}
