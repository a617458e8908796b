package transform

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// expression is one expression over the columns of a table, compiled. It holds nothing that changes, so that every reader
// may run it.
//
// Values are what their cells hold: bool, int, float, string, bytes ([]byte) and exact decimals; dates, times, UUIDs and JSON are
// strings of the canonical encoding. Where a column that it uses is NULL it is NULL itself, as in SQL, unless it says what
// then: with ??, == nil or != nil.
type expression struct {
	text    string
	program *vm.Program
	uses    []string // columns
	strict  []string // names that make it NULL when they are
	result  reflect.Type
}

// Types of values in expressions.
var (
	boolType    = reflect.TypeFor[bool]()
	intType     = reflect.TypeFor[int]()
	floatType   = reflect.TypeFor[float64]()
	textType    = reflect.TypeFor[string]()
	bytesType   = reflect.TypeFor[[]byte]()
	decimalType = reflect.TypeFor[Decimal]()
	anyType     = reflect.TypeFor[any]()
)

// valueType is the type of a kind's values.
func valueType(k row.Kind) reflect.Type {
	switch k {
	case row.Bool:
		return boolType
	case row.Int:
		return intType
	case row.Decimal:
		return decimalType
	case row.Float32, row.Float64:
		return floatType
	case row.Bytes:
		return bytesType
	}
	return textType
}

// uncertain are the functions whose value another reading of the same row would not have.
var uncertain = []string{"now"}

// scope is what an expression may speak of: the columns of a row, and what else has a name.
type scope struct {
	table *schema.Table
	more  map[string]types.Type
}

func (s scope) types() types.Map {
	all := types.Map{}
	for _, c := range s.table.Columns {
		all[c.Name] = types.TypeOf(reflect.Zero(valueType(naturalKind(c.Type))).Interface())
	}
	maps.Copy(all, s.more)
	return all
}

// compileExpression reads an expression over what is in scope and checks its types.
func compileExpression(text string, s scope) (*expression, error) {
	tree, err := parser.Parse(text)
	if err != nil {
		return nil, errors.New(firstLine(err))
	}
	seen := &columnsSeen{aware: map[string]bool{}, used: map[string]bool{}}
	ast.Walk(&tree.Node, seen)
	program, err := expr.Compile(text, append(functions(), expr.Env(s.types()))...)
	if err != nil {
		return nil, errors.New(firstLine(err))
	}
	e := &expression{text: text, program: program, result: program.Node().Type()}
	for _, name := range slices.Sorted(maps.Keys(seen.used)) {
		column := s.table.Column(name) != nil
		if column {
			e.uses = append(e.uses, name)
		}
		if _, known := s.more[name]; (column || known) && !seen.aware[name] {
			e.strict = append(e.strict, name)
		}
	}
	return e, nil
}

// functions are what every expression can use.
func functions() []expr.Option {
	options := append(decimalOperators(), expr.Timezone("UTC"),
		expr.Function("decode", decodeFunction, new(func([]byte, string) string)),
		expr.Function("bytes", bytesFunction, new(func(string) []byte)))
	options = append(options, unpackers()...)
	for _, name := range uncertain {
		options = append(options, expr.DisableBuiltin(name))
	}
	return options
}

// firstLine is an error of the expression language in one line, with the place that it names.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// columnsSeen notes the names that an expression uses, and those of which it says what is when they are nil.
type columnsSeen struct{ used, aware map[string]bool }

// Visit is called for every node.
func (s *columnsSeen) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		s.used[n.Value] = true
	case *ast.MemberNode: // $env["a name that is no word"]
		if of, ok := n.Node.(*ast.IdentifierNode); ok && of.Value == "$env" {
			if name, ok := n.Property.(*ast.StringNode); ok {
				s.used[name.Value] = true
			}
		}
	case *ast.BinaryNode:
		_, nilLeft := n.Left.(*ast.NilNode)
		_, nilRight := n.Right.(*ast.NilNode)
		switch {
		case n.Operator == "??":
			s.know(n.Left)
		case nilRight:
			s.know(n.Left)
		case nilLeft:
			s.know(n.Right)
		}
	}
}

func (s *columnsSeen) know(n ast.Node) {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		s.aware[n.Value] = true
	case *ast.MemberNode:
		of, ok := n.Node.(*ast.IdentifierNode)
		if name, is := n.Property.(*ast.StringNode); ok && is && of.Value == "$env" {
			s.aware[name.Value] = true
		}
	}
}

// fits reports whether the expression's value can be one of the kind.
func (e *expression) fits(k row.Kind) bool {
	want := valueType(k)
	switch {
	case e.result == nil || e.result == anyType || e.result == want:
		return true
	case want == decimalType || want == floatType:
		return e.result == intType
	}
	return false
}

// run evaluates the expression; cells are those of the columns by name, nil for NULL. A nil value is NULL.
func (e *expression) run(machine *vm.VM, env map[string]any) (any, error) {
	for _, name := range e.strict {
		if env[name] == nil {
			return nil, nil
		}
	}
	value, err := machine.Run(e.program, env)
	var why *reason
	switch {
	case errors.As(err, &why):
		return nil, why
	case err != nil: // its text may hold the values
		return nil, &hidden{firstLine(err)}
	}
	return value, nil
}

// reason is why a function of ours has no value. It holds none of the row.
type reason struct{ text string }

func (r *reason) Error() string { return r.text }

func because(format string, args ...any) error { return &reason{fmt.Sprintf(format, args...)} }

// naturalKind is the kind of a column's cells where nobody has agreed on another one.
func naturalKind(t schema.Type) row.Kind {
	if len(t.Values) > 0 {
		return row.Text
	}
	return t.Kind
}

// valueOf reads a cell for an expression.
func valueOf(cell []byte, k row.Kind) (any, error) {
	if cell == nil {
		return nil, nil
	}
	switch valueType(k) {
	case boolType:
		return string(cell) == "1", nil
	case intType:
		n, err := strconv.ParseInt(string(cell), 10, 64)
		if err != nil {
			return nil, because("is too large for an expression, whose ints have 64 bits")
		}
		return int(n), nil
	case floatType:
		f, err := strconv.ParseFloat(string(cell), 64)
		if err != nil {
			return nil, because("is no number")
		}
		return f, nil
	case decimalType:
		return parseDecimal(string(cell))
	case bytesType:
		return slices.Clone(cell), nil
	}
	return string(cell), nil
}

func bytesFunction(params ...any) (any, error) {
	text, ok := params[0].(string)
	if !ok {
		return nil, because("bytes takes a text")
	}
	return []byte(text), nil
}

func decodeFunction(params ...any) (any, error) {
	raw, ok := params[0].([]byte)
	name, named := params[1].(string)
	if !ok || !named {
		return nil, because("decode takes bytes and the name of a character set")
	}
	c, err := findCharset(name)
	if err != nil {
		return nil, because("%v", err)
	}
	text, bad := c.decode(nil, raw)
	if bad > 0 {
		return nil, because("holds bytes that are no character of %s", name)
	}
	return string(text), nil
}
