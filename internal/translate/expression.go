package translate

import (
	"fmt"
	"strings"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// An expression of a check is carried to another product only when both are sure to read it the same: columns, literals,
// comparisons, AND, OR, NOT, IN, BETWEEN, IS NULL and sums. Everything else is an error that says in a clause what was met,
// and the check becomes a finding. The products' ways of writing the same are evened out: quotes, "= ANY (ARRAY[…])",
// casts that change nothing, a number that stands for a truth value.

// carrier carries the expressions of one table.
type carrier struct {
	source, target *schema.Table
	quote          func(string) string
	enums          map[string]bool // names of the application's own types that are written like text
	bare           string          // the column that VALUE stands for, in the check of a domain
}

// carried is what became of an expression.
type carried struct {
	words    string   // in the target's own words
	columns  []string // that it names
	implied  bool     // the column's type says it already: nothing is left to check
	stricter bool     // it compares text that the source compares without case, and the target byte by byte
}

func (c *carrier) carry(expression string) (carried, error) {
	tokens, err := lex(expression)
	if err != nil {
		return carried{}, err
	}
	p := &parser{tokens: tokens, column: c.column, bare: c.bare}
	n, err := p.whole()
	if err != nil {
		return carried{}, err
	}
	s := &settler{carrier: c}
	n, err = s.truth(n)
	if err != nil {
		return carried{}, err
	}
	if n.op == opImplied {
		return carried{implied: true}, nil
	}
	return carried{words: c.write(n), columns: n.columns(nil), stricter: s.stricter}, nil
}

// columns appends the columns that an expression names.
func (n *node) columns(all []string) []string {
	if n.op == opColumn {
		all = append(all, n.text)
	}
	for _, a := range n.args {
		all = a.columns(all)
	}
	return all
}

func (c *carrier) column(t token) (string, bool) {
	if c.source.Column(t.text) != nil {
		return t.text, true
	}
	found := ""
	for _, column := range c.source.Columns {
		if strings.EqualFold(column.Name, t.text) {
			if found != "" {
				return "", false
			}
			found = column.Name
		}
	}
	return found, found != ""
}

// class says what a piece of an expression is, as far as comparing needs to know.
type class uint8

const (
	anything class = iota // NULL
	boolean
	numeric
	textual
	date
	moment // a date with a time, without a zone
	opaque // only NULL can be told from it in the same way everywhere
)

func classOf(t schema.Type) class {
	if len(t.Values) > 0 {
		return textual
	}
	switch t.Kind {
	case row.Bool:
		return boolean
	case row.Int, row.Decimal, row.Float32, row.Float64:
		if textual := strings.ToUpper(t.Raw); strings.Contains(textual, "TEXT") || strings.Contains(textual, "CHAR") {
			return opaque // a number that the product keeps as text, and compares as such
		}
		return numeric
	case row.Text:
		return textual
	case row.Date:
		return date
	case row.Timestamp:
		return moment
	}
	return opaque
}

// write writes a settled expression for the target, every inner one in parentheses: precedence is nobody's guess.
func (c *carrier) write(n *node) string {
	inner := func(i int) string {
		s := c.write(n.args[i])
		switch n.args[i].op {
		case opColumn, opString, opNumber, opTruth, opNull, opCall:
			return s
		}
		return "(" + s + ")"
	}
	switch n.op {
	case opColumn:
		return c.quote(n.text)
	case opString:
		return "'" + strings.ReplaceAll(n.text, "'", "''") + "'"
	case opNull:
		return "NULL"
	case opNot:
		return "NOT " + inner(0)
	case opMinus:
		return "- " + inner(0)
	case opCompare, opLogic, opArith:
		return inner(0) + " " + n.text + " " + inner(1)
	case opIs:
		return inner(0) + " " + n.text
	case opWithin:
		return inner(0) + " " + n.text + " " + inner(1) + " AND " + inner(2)
	case opIn, opCall:
		first, words := 0, n.text
		if n.op == opIn {
			first, words = 1, inner(0)+" "+n.text+" "
		}
		items := make([]string, 0, len(n.args))
		for i := first; i < len(n.args); i++ {
			items = append(items, inner(i))
		}
		return words + "(" + strings.Join(items, ", ") + ")"
	}
	return n.text
}

// textTypes and the two sets below are the casts that PostgreSQL writes into expressions and that change nothing when
// what is cast is of that class already. One that has a length may cut.
var (
	textTypes   = map[string]bool{"text": true, "character varying": true, "varchar": true, "bpchar": true}
	numberTypes = map[string]bool{"numeric": true, "bigint": true, "integer": true, "smallint": true}
	timeTypes   = map[string]class{"date": date, "timestamp": moment, "timestamp without time zone": moment}
)

// uncast takes a cast away where it changes nothing.
func (s *settler) uncast(n, inner *node, is class) (*node, class, error) {
	literal := inner.op == opString
	switch to := n.text; {
	case is == anything:
		return inner, is, nil
	case is == textual && (textTypes[to] || literal && s.enums[to]):
		return inner, is, nil
	case literal && numberTypes[to]:
		return s.number(inner)
	case literal && timeTypes[to] != anything:
		return s.point(inner, timeTypes[to])
	case is == timeTypes[to] && is != anything:
		return inner, is, nil
	case is == numeric && to == "numeric":
		return inner, is, nil
	case is == numeric && numberTypes[to] && inner.op == opNumber && !strings.ContainsAny(inner.text, ".eE"):
		return inner, is, nil
	case is == numeric && to == "double precision" && s.float(inner), is == boolean && to == "boolean":
		return inner, is, nil
	}
	return nil, is, fmt.Errorf("casts to %s", n.text)
}

// number reads a string as the number it says.
func (s *settler) number(n *node) (*node, class, error) {
	digits := strings.TrimPrefix(n.text, "-")
	if digits == "" || digits[0] < '0' || digits[0] > '9' || numberLength(digits) != len(digits) {
		return nil, numeric, fmt.Errorf("compares a number with the text %q", n.text)
	}
	return &node{op: opNumber, text: n.text}, numeric, nil
}

// point reads a string as a date or a moment, in the one form that the three products read the same.
func (s *settler) point(n *node, as class) (*node, class, error) {
	day, clock, timed := strings.Cut(n.text, " ")
	fits := validDay(day)
	if timed {
		fits = fits && as == moment && validClock(clock)
		clock = string(row.AppendFraction(nil, []byte(clock)))
	}
	if !fits {
		return nil, as, fmt.Errorf("compares a date with the text %q", n.text)
	}
	if as == moment {
		if !timed {
			clock = "00:00:00"
		}
		day += " " + clock
	}
	return &node{op: opString, text: day}, as, nil
}
