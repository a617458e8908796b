package transform

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr"
)

// unpackers are the functions that take packed values apart. Some stand for functions of the expression language that would
// lose digits (fromJSON) or whose lists have another order at each reading (keys, values, toPairs).
func unpackers() []expr.Option {
	return []expr.Option{
		expr.Function("fromJSON", fromJSON, new(func(string) any)),
		expr.Function("keys", keysFunction, new(func(map[string]any) []string), new(func(any) []string)),
		expr.Function("values", valuesFunction, new(func(map[string]any) []any), new(func(any) []any)),
		expr.Function("toPairs", pairsFunction, new(func(map[string]any) []any), new(func(any) []any)),
		expr.Function("parts", partsFunction, new(func(string, string) []string)),
		expr.Function("chunks", chunksFunction, new(func([]byte, int) [][]byte), new(func(string, int) []string)),
		expr.Function("unsigned", unsignedFunction, new(func([]byte, string) int)),
		expr.Function("signed", signedFunction, new(func([]byte, string) int)),
	}
}

// fromJSON reads JSON. A number is an int where it is whole and has 64 bits, else an exact decimal.
func fromJSON(params ...any) (any, error) {
	text, ok := params[0].(string)
	if !ok {
		return nil, because("fromJSON takes a text")
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, because("is no JSON")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, because("is no JSON: something follows the value")
	}
	return exactly(value)
}

// exactly makes numbers of what stands for them.
func exactly(value any) (_ any, err error) {
	switch v := value.(type) {
	case json.Number:
		return jsonNumber(string(v))
	case []any:
		for i := range v {
			if v[i], err = exactly(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for name := range v {
			if v[name], err = exactly(v[name]); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}

func jsonNumber(text string) (any, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return int(n), nil
	}
	if at := strings.IndexAny(text, "eE"); at >= 0 {
		if e, err := strconv.Atoi(text[at+1:]); err != nil || e < -1000 || e > 1000 {
			return nil, because("holds a number in JSON that is too large")
		}
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return nil, because("holds a number in JSON that is none")
	}
	if r.IsInt() && r.Num().IsInt64() {
		return int(r.Num().Int64()), nil
	}
	return Decimal{r}, nil
}

// MarshalJSON writes it as a number.
func (d Decimal) MarshalJSON() ([]byte, error) { return []byte(d.String()), nil }

func object(name string, params []any) (map[string]any, error) {
	switch m := params[0].(type) {
	case map[string]any:
		return m, nil
	case map[any]any: // of groupBy
		named := make(map[string]any, len(m))
		for k, v := range m {
			named[fmt.Sprint(k)] = v
		}
		return named, nil
	case map[any][]any:
		named := make(map[string]any, len(m))
		for k, v := range m {
			named[fmt.Sprint(k)] = v
		}
		return named, nil
	}
	return nil, because("%s takes an object", name)
}

func keysFunction(params ...any) (any, error) {
	m, err := object("keys", params)
	return slices.Sorted(maps.Keys(m)), err
}

func valuesFunction(params ...any) (any, error) {
	m, err := object("values", params)
	all := make([]any, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		all = append(all, m[name])
	}
	return all, err
}

func pairsFunction(params ...any) (any, error) {
	m, err := object("toPairs", params)
	all := make([]any, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		all = append(all, []any{name, m[name]})
	}
	return all, err
}

// partsFunction cuts a text at a separator. An empty text has no parts.
func partsFunction(params ...any) (any, error) {
	text, ok := params[0].(string)
	separator, also := params[1].(string)
	switch {
	case !ok || !also || separator == "":
		return nil, because("parts takes a text and the separator")
	case text == "":
		return []string{}, nil
	}
	return strings.Split(text, separator), nil
}

// chunksFunction cuts bytes, or the characters of a text, into pieces of one length, to which none may be missing.
func chunksFunction(params ...any) (any, error) {
	n, ok := params[1].(int)
	if !ok || n < 1 {
		return nil, because("chunks takes bytes or a text and the length of a piece")
	}
	switch v := params[0].(type) {
	case []byte:
		if len(v)%n != 0 {
			return nil, because("can not be cut into pieces of %d bytes", n)
		}
		return slices.Collect(slices.Chunk(v, n)), nil
	case string:
		characters, texts := []rune(v), []string{}
		if len(characters)%n != 0 {
			return nil, because("can not be cut into pieces of %d characters", n)
		}
		for piece := range slices.Chunk(characters, n) {
			texts = append(texts, string(piece))
		}
		return texts, nil
	}
	return nil, because("chunks takes bytes or a text and the length of a piece")
}

// whole reads bytes as a number without a sign.
func whole(name string, params []any) (n uint64, bits int, err error) {
	raw, ok := params[0].([]byte)
	order, also := params[1].(string)
	switch {
	case !ok || !also || order != "big" && order != "little":
		return 0, 0, because(`%s takes bytes and "big" or "little", their order`, name)
	case len(raw) < 1 || len(raw) > 8:
		return 0, 0, because("%s takes 1 to 8 bytes", name)
	}
	for i := range raw {
		b := raw[i]
		if order == "little" {
			b = raw[len(raw)-1-i]
		}
		n = n<<8 | uint64(b)
	}
	return n, 8 * len(raw), nil
}

func unsignedFunction(params ...any) (any, error) {
	n, _, err := whole("unsigned", params)
	if err == nil && n > math.MaxInt64 {
		err = because("is too large for an expression, whose ints have 64 bits")
	}
	return int(n), err //nolint:gosec // it was looked at
}

// signedFunction reads two's complement.
func signedFunction(params ...any) (any, error) {
	n, bits, err := whole("signed", params)
	return int(int64(n<<(64-bits)) >> (64 - bits)), err //nolint:gosec // the sign is where it was
}
