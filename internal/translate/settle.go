package translate

import (
	"fmt"
	"strings"
	"time"

	"github.com/whimbrel/whimbrel/row"
)

// settler gives every piece of an expression its class, takes harmless casts away, and refuses what two products could
// judge differently.
type settler struct {
	*carrier
	stricter bool
}

// truth settles an expression that stands where a truth value must: a number does for one in some products.
func (s *settler) truth(n *node) (*node, error) {
	if n.op == opImplied {
		return n, nil
	}
	n, is, err := s.settle(n)
	switch {
	case err != nil:
		return nil, err
	case is == boolean || is == anything || n.op == opImplied:
		return n, nil
	case is == numeric:
		return &node{op: opCompare, text: "<>", args: []*node{n, {op: opNumber, text: "0"}}}, nil
	}
	return nil, fmt.Errorf("takes something else for a truth value")
}

func (s *settler) settle(n *node) (*node, class, error) {
	switch n.op {
	case opColumn:
		return s.columnClass(n)
	case opString:
		return n, textual, nil
	case opNumber:
		return n, numeric, nil
	case opTruth:
		return n, boolean, nil
	case opNull:
		return n, anything, nil
	case opLogic:
		return s.logic(n)
	case opNot:
		inner, err := s.truth(n.args[0])
		if err == nil && inner.op == opImplied {
			err = fmt.Errorf("calls json_valid")
		}
		return &node{op: opNot, args: []*node{inner}}, boolean, err
	case opIs:
		return s.is(n)
	case opCompare, opIn, opWithin:
		return s.compared(n)
	case opArith, opMinus:
		return s.arithmetic(n)
	case opCast:
		inner, is, err := s.settle(n.args[0])
		if err != nil {
			return nil, is, err
		}
		return s.uncast(n, inner, is)
	case opCall:
		return s.call(n)
	}
	return nil, opaque, fmt.Errorf("calls json_valid")
}

func (s *settler) columnClass(n *node) (*node, class, error) {
	source, target := s.source.Column(n.text), s.target.Column(n.text)
	if target == nil {
		return nil, opaque, fmt.Errorf("has %q, which is no column of the target's table", n.text)
	}
	from, to := classOf(source.Type), classOf(target.Type)
	switch {
	case from == to:
		return n, from, nil
	case from == boolean && to == numeric:
		return &node{op: opCompare, text: "<>", args: []*node{n, {op: opNumber, text: "0"}}}, boolean, nil
	}
	return n, opaque, nil
}

func (s *settler) logic(n *node) (*node, class, error) {
	left, err := s.truth(n.args[0])
	if err != nil {
		return nil, boolean, err
	}
	right, err := s.truth(n.args[1])
	switch {
	case err != nil:
		return nil, boolean, err
	case left.op == opImplied && n.text == "AND":
		return right, boolean, nil
	case right.op == opImplied && n.text == "AND":
		return left, boolean, nil
	case left.op == opImplied || right.op == opImplied:
		return nil, boolean, fmt.Errorf("calls json_valid")
	}
	return &node{op: opLogic, text: n.text, args: []*node{left, right}}, boolean, nil
}

func (s *settler) is(n *node) (*node, class, error) {
	if strings.HasSuffix(n.text, "NULL") {
		inner, _, err := s.settle(n.args[0])
		return &node{op: opIs, text: n.text, args: []*node{inner}}, boolean, err
	}
	inner, err := s.truth(n.args[0])
	if err == nil && inner.op == opImplied {
		err = fmt.Errorf("calls json_valid")
	}
	return &node{op: opIs, text: n.text, args: []*node{inner}}, boolean, err
}

// compared settles operands that are compared with each other, and refuses an order that products do not share.
func (s *settler) compared(n *node) (*node, class, error) {
	args, is, err := s.alike(n.args)
	if err != nil {
		return nil, boolean, err
	}
	equality := n.op == opIn || n.text == "=" || n.text == "<>"
	switch {
	case is == opaque:
		return nil, boolean, fmt.Errorf("compares values of a type that products compare differently")
	case is == textual && !equality:
		return nil, boolean, fmt.Errorf("compares text by its order")
	case is == boolean && !equality:
		return nil, boolean, fmt.Errorf("compares truth values by their order")
	case is == textual:
		s.noteCase(args)
	}
	return &node{op: n.op, text: n.text, args: args}, boolean, nil
}

// alike settles operands and makes literals say what the others are.
func (s *settler) alike(operands []*node) ([]*node, class, error) {
	args, classes := make([]*node, len(operands)), make([]class, len(operands))
	is := anything
	for i, o := range operands {
		var err error
		if args[i], classes[i], err = s.settle(o); err != nil {
			return nil, is, err
		}
		if literal := args[i].op == opString || args[i].op == opNumber; !literal && is == anything {
			is = classes[i]
		}
	}
	for i := range args {
		if is == anything {
			is = classes[i]
		}
	}
	for i, a := range args {
		var err error
		switch {
		case classes[i] == is || classes[i] == anything:
		case a.op == opString && is == numeric:
			args[i], _, err = s.number(a)
		case a.op == opString && (is == date || is == moment):
			args[i], _, err = s.point(a, is)
		case a.op == opNumber && is == boolean && (a.text == "0" || a.text == "1"):
			args[i] = &node{op: opTruth, text: map[string]string{"0": "FALSE", "1": "TRUE"}[a.text]}
		default:
			err = fmt.Errorf("compares values of different types")
		}
		// A literal settled by its own cast may lack the clock that a moment's text has.
		if err == nil && classes[i] == is && is == moment && a.op == opString {
			args[i], _, err = s.point(a, is)
		}
		if err != nil {
			return nil, is, err
		}
	}
	return args, is, nil
}

// noteCase remembers that text is compared that the source and the target do not compare alike.
func (s *settler) noteCase(args []*node) {
	for _, a := range args {
		if a.op != opColumn {
			continue
		}
		source, target := s.source.Column(a.text).Type, s.target.Column(a.text).Type
		s.stricter = s.stricter || len(source.Values) == 0 && source.Binary != target.Binary
	}
}

func (s *settler) arithmetic(n *node) (*node, class, error) {
	done := &node{op: n.op, text: n.text}
	whole, float := true, false
	for _, o := range n.args {
		inner, is, err := s.settle(o)
		if err != nil {
			return nil, numeric, err
		}
		if is != numeric {
			return nil, numeric, fmt.Errorf("reckons with something that is no number")
		}
		whole, float = whole && s.whole(inner), float || s.float(inner)
		done.args = append(done.args, inner)
	}
	switch {
	case n.text == "/" && !float:
		return nil, numeric, fmt.Errorf("divides, and products round differently")
	case n.text == "%" && !whole:
		return nil, numeric, fmt.Errorf("takes the rest of a division of fractions")
	}
	return done, numeric, nil
}

// float reports whether a number is reckoned as a float everywhere.
func (s *settler) float(n *node) bool {
	if n.op == opColumn {
		k := s.source.Column(n.text).Type.Kind
		return k == s.target.Column(n.text).Type.Kind && (k == row.Float32 || k == row.Float64)
	}
	for _, a := range n.args {
		if n.op == opArith && s.float(a) {
			return true
		}
	}
	return false
}

// whole reports whether a number is an integer everywhere.
func (s *settler) whole(n *node) bool {
	switch n.op {
	case opColumn:
		return s.source.Column(n.text).Type.Kind == row.Int && s.target.Column(n.text).Type.Kind == row.Int
	case opNumber:
		return !strings.ContainsAny(n.text, ".eE")
	case opArith, opMinus:
		for _, a := range n.args {
			if !s.whole(a) {
				return false
			}
		}
		return true
	}
	return false
}

func (s *settler) call(n *node) (*node, class, error) {
	args, is, err := s.alike(n.args)
	if err != nil {
		return nil, is, err
	}
	want := map[string]int{"abs": 1, "nullif": 2}[n.text]
	switch {
	case want > 0 && len(args) != want, want == 0 && len(args) < 2, n.text == "json_valid":
		return nil, is, fmt.Errorf("calls %s", n.text)
	case n.text == "abs" && is != numeric, is == opaque:
		return nil, is, fmt.Errorf("calls %s of a type that products treat differently", n.text)
	case is == textual:
		s.noteCase(args)
	}
	return &node{op: opCall, text: n.text, args: args}, is, nil
}

func validDay(s string) bool {
	_, err := time.Parse("2006-01-02", s)
	return err == nil
}

// validClock reports whether s is a time of day of six digits, with a fraction perhaps.
func validClock(s string) bool {
	_, err := time.Parse("15:04:05", s)
	return err == nil && len(s) >= len("15:04:05") && s[2] == ':' && !strings.Contains(s, ",")
}
