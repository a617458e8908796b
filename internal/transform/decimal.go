package transform

import (
	"math/big"
	"strings"

	"github.com/expr-lang/expr"
)

// Decimal is an exact number in an expression.
type Decimal struct{ r *big.Rat }

// String writes it with as many digits as it needs, up to 30 after the point.
func (d Decimal) String() string {
	if d.r == nil {
		return "0"
	}
	text := d.r.FloatString(30)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// fixed writes it with exactly scale digits after the point, false where it has more.
func (d Decimal) fixed(scale int) (string, bool) {
	if scale < 0 {
		return d.String(), true
	}
	text := d.r.FloatString(scale)
	back, ok := new(big.Rat).SetString(text)
	return text, ok && back.Cmp(d.r) == 0
}

func parseDecimal(text string) (Decimal, error) {
	if strings.ContainsAny(text, "/eE_xX") {
		return Decimal{}, because("is no plain number")
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return Decimal{}, because("is no plain number")
	}
	return Decimal{r}, nil
}

func exact(v any) (*big.Rat, error) {
	switch v := v.(type) {
	case Decimal:
		return v.r, nil
	case int:
		return new(big.Rat).SetInt64(int64(v)), nil
	}
	return nil, because("%T is no exact number", v)
}

// arithmetic makes a function of two exact numbers.
func arithmetic(f func(z, x, y *big.Rat) (any, error)) func(params ...any) (any, error) {
	return func(params ...any) (any, error) {
		x, err := exact(params[0])
		if err != nil {
			return nil, err
		}
		y, err := exact(params[1])
		if err != nil {
			return nil, err
		}
		return f(new(big.Rat), x, y)
	}
}

// decimalOperators are the operators of expressions on exact numbers, int beside them.
func decimalOperators() []expr.Option {
	number := func(f func(z, x, y *big.Rat) *big.Rat) func(z, x, y *big.Rat) (any, error) {
		return func(z, x, y *big.Rat) (any, error) { return Decimal{f(z, x, y)}, nil }
	}
	truth := func(f func(sign int) bool) func(z, x, y *big.Rat) (any, error) {
		return func(_, x, y *big.Rat) (any, error) { return f(x.Cmp(y)), nil }
	}
	operators := []struct {
		word, name string
		compares   bool
		do         func(z, x, y *big.Rat) (any, error)
	}{
		{"+", "decimalAdd", false, number((*big.Rat).Add)},
		{"-", "decimalSub", false, number((*big.Rat).Sub)},
		{"*", "decimalMul", false, number((*big.Rat).Mul)},
		{"/", "decimalDiv", false, func(z, x, y *big.Rat) (any, error) {
			if y.Sign() == 0 {
				return nil, because("division by zero")
			}
			return Decimal{z.Quo(x, y)}, nil
		}},
		{"==", "decimalEq", true, truth(func(s int) bool { return s == 0 })},
		{"!=", "decimalNe", true, truth(func(s int) bool { return s != 0 })},
		{"<", "decimalLt", true, truth(func(s int) bool { return s < 0 })},
		{"<=", "decimalLe", true, truth(func(s int) bool { return s <= 0 })},
		{">", "decimalGt", true, truth(func(s int) bool { return s > 0 })},
		{">=", "decimalGe", true, truth(func(s int) bool { return s >= 0 })},
	}
	var all []expr.Option
	for _, o := range operators {
		types := []any{new(func(Decimal, Decimal) Decimal), new(func(Decimal, int) Decimal), new(func(int, Decimal) Decimal)}
		if o.compares {
			types = []any{new(func(Decimal, Decimal) bool), new(func(Decimal, int) bool), new(func(int, Decimal) bool)}
		}
		all = append(all, expr.Function(o.name, arithmetic(o.do), types...), expr.Operator(o.word, o.name))
	}
	return append(all,
		expr.Function("decimal", toDecimal, new(func(int) Decimal), new(func(string) Decimal), new(func(Decimal) Decimal)),
		expr.Function("rounded", rounded, new(func(Decimal, int) Decimal)))
}

func toDecimal(params ...any) (any, error) {
	if text, ok := params[0].(string); ok {
		return parseDecimal(text)
	}
	r, err := exact(params[0])
	return Decimal{r}, err
}

// rounded rounds half away from zero, as SQL does.
func rounded(params ...any) (any, error) {
	d, ok := params[0].(Decimal)
	n, isInt := params[1].(int)
	if !ok || !isInt || n < 0 || n > 1000 {
		return nil, because("rounded takes a decimal and how many digits to keep after the point")
	}
	return parseDecimal(d.r.FloatString(n))
}
