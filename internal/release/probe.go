package release

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
)

// relation is how the source's answer to a probe and the target's must stand to each other.
type relation struct {
	text string // as it is written
	hold func(source, target string) (bool, error)
}

// related reads a relation: equal, at-least or at-most, of the target to the source, or an expression over source and target.
func related(text string) (relation, error) {
	switch text {
	case "", "equal":
		return relation{"equal", func(s, t string) (bool, error) {
			if x, y, ok := numbers(s, t); ok {
				return x.Cmp(y) == 0, nil
			}
			return s == t, nil
		}}, nil
	case "at-least":
		return ordered(text, func(c int) bool { return c >= 0 }), nil
	case "at-most":
		return ordered(text, func(c int) bool { return c <= 0 }), nil
	}
	meant, err := expr.Compile(text, expr.Env(answers{}), expr.AsBool(), expr.DisableBuiltin("now"))
	if err != nil {
		why, _, _ := strings.Cut(err.Error(), "\n")
		return relation{}, fmt.Errorf("here belongs equal, at-least, at-most, or an expression over source and target that is true or false: %s", why)
	}
	return relation{text, func(s, t string) (bool, error) { return evaluate(meant, s, t) }}, nil
}

// answers are what an expression knows: any, because a product's count and its text arrive alike.
type answers struct {
	Source any `expr:"source"`
	Target any `expr:"target"`
}

func evaluate(meant *vm.Program, source, target string) (bool, error) {
	is, err := expr.Run(meant, answers{value(source), value(target)})
	if err != nil {
		why, _, _ := strings.Cut(err.Error(), "\n")
		return false, errors.New(why)
	}
	holds, _ := is.(bool)
	return holds, nil
}

// value is an answer in an expression: a number where it is one, else a text.
func value(answer string) any {
	if !plain.MatchString(answer) {
		return answer
	}
	if n, ok := new(big.Rat).SetString(answer); ok {
		if n.IsInt() && n.Num().IsInt64() {
			return int(n.Num().Int64())
		}
		f, _ := n.Float64()
		return f
	}
	return answer
}

// plain is a number as databases write counts and sums. Without exponents: a checksum such as 0e12 is a text, and 1e999999999 a trap.
var plain = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)

func numbers(s, t string) (x, y *big.Rat, ok bool) {
	if !plain.MatchString(s) || !plain.MatchString(t) {
		return nil, nil, false
	}
	x, first := new(big.Rat).SetString(s)
	y, second := new(big.Rat).SetString(t)
	return x, y, first && second
}

// ordered compares the target's number with the source's.
func ordered(text string, holds func(int) bool) relation {
	return relation{text, func(s, t string) (bool, error) {
		x, y, ok := numbers(s, t)
		if !ok {
			return false, fmt.Errorf("%s compares numbers", text)
		}
		return holds(y.Cmp(x)), nil
	}}
}

// Weigh returns nil when the two sides' answers stand to each other as the probe says, else an error with both.
func (p Probe) Weigh(source, target string) error {
	holds, err := p.is.hold(source, target)
	why := ""
	switch {
	case err != nil:
		why = ": " + err.Error()
	case holds:
		return nil
	}
	return fmt.Errorf("%s: probe %s: the source says %s and the target says %s, which is not %q%s", p.Place, p.Name, source, target, p.is.text, why)
}
