package translate

import (
	"fmt"
	"strings"
)

// node is one piece of an expression.
type node struct {
	op   op
	text string // a literal, a column's name, an operator, a cast's type
	args []*node
}

// op is what a node is.
type op uint8

const (
	opColumn op = iota
	opString
	opNumber
	opTruth   // text TRUE or FALSE
	opNull    // the word NULL
	opCompare // text = <> < <= > >=
	opLogic   // text AND or OR
	opNot
	opArith   // text + - * / %
	opMinus   // a sign before
	opIs      // text: IS NULL, IS NOT NULL, IS TRUE, …
	opIn      // text IN or NOT IN; the first argument is looked for in the others
	opWithin  // text BETWEEN or NOT BETWEEN
	opCast    // text: the type
	opCall    // text: the function, lower case
	opImplied // json_valid(text), which a column of a JSON type implies
)

// parser reads the small language that the three products' checks have in common, in any of their spellings.
type parser struct {
	tokens []token
	at     int
	deep   int
	column func(t token) (string, bool) // the column that a token names
	bare   string                       // the word that stands for the column in a domain's check
}

// deepest bounds how deep an expression may be nested.
const deepest = 200

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != end {
		p.at++
	}
	return t
}

// accept takes the next tokens if they are these words, all of them.
func (p *parser) accept(words ...string) bool {
	for i, w := range words {
		if p.at+i >= len(p.tokens) || !p.tokens[p.at+i].is(w) {
			return false
		}
	}
	p.at += len(words)
	return true
}

func (p *parser) expect(s string) error {
	if !p.accept(s) {
		return p.strange()
	}
	return nil
}

// strange says what stands where the parser can not go on.
func (p *parser) strange() error {
	t := p.peek()
	if t.kind == end {
		return fmt.Errorf("ends too early")
	}
	return fmt.Errorf("has %q where it is not understood", t.text)
}

func (p *parser) whole() (*node, error) {
	n, err := p.or()
	if err == nil && p.peek().kind != end {
		err = p.strange()
	}
	return n, err
}

func (p *parser) or() (*node, error) { return p.chain(p.and, opLogic, "OR") }

func (p *parser) and() (*node, error) { return p.chain(p.not, opLogic, "AND") }

func (p *parser) not() (*node, error) {
	if !p.accept("NOT") {
		return p.compare()
	}
	if p.deep++; p.deep > deepest {
		return nil, fmt.Errorf("is nested too deeply")
	}
	defer func() { p.deep-- }()
	n, err := p.not()
	return &node{op: opNot, args: []*node{n}}, err
}

// chain reads operands of one level with the operators between them, from the left.
func (p *parser) chain(operand func() (*node, error), kind op, operators ...string) (*node, error) {
	left, err := operand()
	for err == nil {
		found := ""
		for _, o := range operators {
			if found == "" && p.accept(o) {
				found = o
			}
		}
		if found == "" {
			return left, nil
		}
		var right *node
		right, err = operand()
		left = &node{op: kind, text: found, args: []*node{left, right}}
	}
	return nil, err
}

func (p *parser) compare() (*node, error) {
	left, err := p.sum()
	if err != nil {
		return nil, err
	}
	for _, o := range [...][2]string{{"<=", "<="}, {">=", ">="}, {"<>", "<>"}, {"!=", "<>"}, {"==", "="}, {"=", "="}, {"<", "<"}, {">", ">"}} {
		if p.accept(o[0]) {
			return p.comparison(left, o[1])
		}
	}
	switch {
	case p.accept("ISNULL"):
		return &node{op: opIs, text: "IS NULL", args: []*node{left}}, nil
	case p.accept("NOTNULL"):
		return &node{op: opIs, text: "IS NOT NULL", args: []*node{left}}, nil
	case p.accept("IS"):
		return p.isWhat(left)
	case p.accept("NOT", "IN"):
		return p.list(left, "NOT IN", ")")
	case p.accept("IN"):
		return p.list(left, "IN", ")")
	case p.accept("NOT", "BETWEEN"):
		return p.between(left, "NOT BETWEEN")
	case p.accept("BETWEEN"):
		return p.between(left, "BETWEEN")
	}
	return left, nil
}

func (p *parser) comparison(left *node, operator string) (*node, error) {
	switch {
	case operator == "=" && p.accept("ANY"):
		return p.array(left, "IN")
	case operator == "<>" && p.accept("ALL"):
		return p.array(left, "NOT IN")
	}
	right, err := p.sum()
	return &node{op: opCompare, text: operator, args: []*node{left, right}}, err
}

func (p *parser) isWhat(left *node) (*node, error) {
	what := "IS "
	if p.accept("NOT") {
		what += "NOT "
	}
	for _, w := range []string{"NULL", "TRUE", "FALSE"} {
		if p.accept(w) {
			return &node{op: opIs, text: what + w, args: []*node{left}}, nil
		}
	}
	return nil, p.strange()
}

func (p *parser) between(left *node, what string) (*node, error) {
	low, err := p.sum()
	if err == nil {
		err = p.expect("AND")
	}
	if err != nil {
		return nil, err
	}
	high, err := p.sum()
	return &node{op: opWithin, text: what, args: []*node{left, low, high}}, err
}

// list reads "(a, b, …)", or the rest of it up to the closing sign.
func (p *parser) list(left *node, what, closing string) (*node, error) {
	if closing == ")" {
		if err := p.expect("("); err != nil {
			return nil, err
		}
	}
	n := &node{op: opIn, text: what, args: []*node{left}}
	for {
		item, err := p.sum()
		if err != nil {
			return nil, err
		}
		n.args = append(n.args, item)
		if p.accept(closing) {
			return n, nil
		}
		if err := p.expect(","); err != nil {
			return nil, err
		}
	}
}

// array reads PostgreSQL's "(ARRAY[a, b])", "((ARRAY[a, b])::text[])" after ANY or ALL.
func (p *parser) array(left *node, what string) (*node, error) {
	open := 0
	for p.accept("(") {
		open++
	}
	if open == 0 || open > deepest || !p.accept("ARRAY", "[") {
		return nil, p.strange()
	}
	n, err := p.list(left, what, "]")
	for err == nil && open > 0 {
		if p.accept("::") {
			var to string
			if to, err = p.typeName(); err == nil && !strings.HasSuffix(to, "[]") {
				err = fmt.Errorf("casts an array to %s", to)
			}
			if err == nil && !textTypes[strings.TrimSuffix(to, "[]")] {
				err = fmt.Errorf("casts to %s", to)
			}
			continue
		}
		err = p.expect(")")
		open--
	}
	return n, err
}

func (p *parser) sum() (*node, error) { return p.chain(p.product, opArith, "+", "-") }

func (p *parser) product() (*node, error) { return p.chain(p.signed, opArith, "*", "/", "%") }

func (p *parser) signed() (*node, error) {
	if !p.accept("-") {
		return p.cast()
	}
	if p.deep++; p.deep > deepest {
		return nil, fmt.Errorf("is nested too deeply")
	}
	defer func() { p.deep-- }()
	n, err := p.signed()
	if err == nil && n.op == opNumber && !strings.HasPrefix(n.text, "-") {
		return &node{op: opNumber, text: "-" + n.text}, nil
	}
	return &node{op: opMinus, args: []*node{n}}, err
}

func (p *parser) cast() (*node, error) {
	n, err := p.primary()
	for err == nil && p.accept("::") {
		var to string
		to, err = p.typeName()
		n = &node{op: opCast, text: to, args: []*node{n}}
	}
	return n, err
}

func (p *parser) primary() (*node, error) {
	if p.accept("(") {
		if p.deep++; p.deep > deepest {
			return nil, fmt.Errorf("is nested too deeply")
		}
		defer func() { p.deep-- }()
		n, err := p.or()
		if err == nil {
			err = p.expect(")")
		}
		return n, err
	}
	t := p.peek()
	switch t.kind {
	case text:
		p.next()
		return &node{op: opString, text: t.text}, nil
	case number:
		p.next()
		return &node{op: opNumber, text: t.text}, nil
	case quoted:
		return p.name()
	case word:
		return p.word(t)
	}
	return nil, p.strange()
}

// introducers are the character sets that MariaDB and MySQL write before a string of theirs.
var introducers = map[string]bool{"_utf8mb4": true, "_utf8mb3": true, "_utf8": true}

func (p *parser) word(t token) (*node, error) {
	after := p.tokens[p.at+1]
	low := strings.ToLower(t.text)
	switch {
	case introducers[low] && after.kind == text, (low == "date" || low == "timestamp") && after.kind == text:
		p.at += 2
		return &node{op: opString, text: after.text}, nil
	case after.is("("):
		return p.call(low)
	case low == "true" || low == "false":
		p.next()
		return &node{op: opTruth, text: strings.ToUpper(low)}, nil
	case low == "null":
		p.next()
		return &node{op: opNull}, nil
	}
	return p.name()
}

func (p *parser) name() (*node, error) {
	t := p.next()
	for p.accept(".") { // a table's name before the column's
		t = p.next()
	}
	if p.bare != "" && t.kind == word && strings.EqualFold(t.text, "value") {
		return &node{op: opColumn, text: p.bare}, nil
	}
	if t.kind == word || t.kind == quoted {
		if column, known := p.column(t); known {
			return &node{op: opColumn, text: column}, nil
		}
	}
	return nil, fmt.Errorf("has %q, which is no column of the table", t.text)
}

// call reads one of the few functions that mean the same everywhere.
func (p *parser) call(name string) (*node, error) {
	switch name {
	case "abs", "coalesce", "nullif", "json_valid":
	default:
		return nil, fmt.Errorf("calls %s", name)
	}
	if p.deep++; p.deep > deepest {
		return nil, fmt.Errorf("is nested too deeply")
	}
	defer func() { p.deep-- }()
	p.at += 2
	n := &node{op: opCall, text: name}
	for {
		arg, err := p.sum()
		if err != nil {
			return nil, err
		}
		n.args = append(n.args, arg)
		if p.accept(")") {
			break
		}
		if err := p.expect(","); err != nil {
			return nil, err
		}
	}
	if name == "json_valid" && len(n.args) == 1 && n.args[0].op == opColumn {
		return &node{op: opImplied, text: n.args[0].text}, nil
	}
	return n, nil
}

// typeName reads a type's name after "::", with its modifiers: words joined by one blank, "[]" at the end of an array.
func (p *parser) typeName() (string, error) {
	t := p.next()
	if t.kind != word && t.kind != quoted {
		return "", fmt.Errorf("has a cast without a type")
	}
	name := t.text
	for p.accept(".") {
		t = p.next()
		name = t.text
	}
	tail := func(words ...string) {
		if t.kind == word && p.accept(words...) {
			name += " " + strings.Join(words, " ")
		}
	}
	tail("varying")
	tail("precision")
	if p.accept("(") {
		name += "("
		for !p.accept(")") {
			if p.peek().kind == end {
				return "", p.strange()
			}
			name += p.next().text
		}
		name += ")"
	}
	tail("without", "time", "zone")
	tail("with", "time", "zone")
	for p.accept("[", "]") {
		name += "[]"
	}
	return name, nil
}
