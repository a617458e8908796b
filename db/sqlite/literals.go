package sqlite

import (
	"bytes"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ncruces/go-sqlite3"
)

// A column without a type, and every column between two databases of this product, travels as SQL literals: 1, 1.0, '1' and
// x'31' are four values.

// appendLiteral writes a value of a column without a type as SQL would, so that the storage class travels with it.
func appendLiteral(dst []byte, v *value) ([]byte, string) {
	switch v.class {
	case sqlite3.INTEGER:
		return strconv.AppendInt(dst, v.i, 10), ""
	case sqlite3.FLOAT:
		return appendFloatLiteral(dst, v.f), ""
	case sqlite3.BLOB:
		dst = hex.AppendEncode(append(dst, "x'"...), v.b)
		return append(dst, '\''), ""
	}
	if !utf8.Valid(v.b) {
		return dst, isNotUTF8
	}
	dst = append(dst, '\'')
	rest := v.b
	for at := bytes.IndexByte(rest, '\''); at >= 0; at = bytes.IndexByte(rest, '\'') {
		dst, rest = append(append(dst, rest[:at+1]...), '\''), rest[at+1:]
	}
	return append(append(dst, rest...), '\''), ""
}

// cents is the number of digits after the point that most decimals have at most.
const cents = 2

// appendFloatLiteral writes a float so that it is not taken for an integer. Amounts of money, which are floats here, need no
// search for their shortest text; from a million on that text has an exponent.
func appendFloatLiteral(dst []byte, f float64) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(dst, "9e999"...)
	case math.IsInf(f, -1):
		return append(dst, "-9e999"...)
	}
	if f < 1e6 && f > -1e6 {
		if out, ok := appendScaled(dst, f, cents); ok {
			if out[len(out)-1] == '0' && out[len(out)-2] != '.' {
				out = out[:len(out)-1]
			}
			return out
		}
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, 'g', -1, 64)
	if !strings.ContainsAny(textOf(dst[start:]), ".e") {
		dst = append(dst, ".0"...)
	}
	return dst
}

// bindLiteral reads what appendLiteral writes; other text is bound as it is.
func (c *column) bindLiteral(st *sqlite3.Stmt, i int, cell []byte) error {
	last := len(cell) - 1
	switch {
	case last > 0 && cell[0] == '\'' && cell[last] == '\'':
		return c.bindQuoted(st, i, cell[1:last])
	case last > 1 && cell[0] == 'x' && cell[1] == '\'' && cell[last] == '\'':
		b, err := hex.AppendDecode(c.scratch[:0], cell[2:last])
		if c.keep(b); err != nil {
			return st.BindText(i, textOf(cell))
		}
		return st.BindBlob(i, b)
	}
	if plainInteger(cell) {
		if n, err := strconv.ParseInt(textOf(cell), 10, 64); err == nil {
			return st.BindInt64(i, n)
		}
	}
	f, err := strconv.ParseFloat(textOf(cell), 64)
	if err == nil || math.IsInf(f, 0) && bytes.HasSuffix(cell, []byte("9e999")) {
		return st.BindFloat(i, f)
	}
	return st.BindText(i, textOf(cell))
}

// bindQuoted binds the text between two quotes, in which a quote stands twice.
func (c *column) bindQuoted(st *sqlite3.Stmt, i int, rest []byte) error {
	at := bytes.IndexByte(rest, '\'')
	if at < 0 {
		return st.BindText(i, textOf(rest))
	}
	b := c.scratch[:0]
	for ; at >= 0; at = bytes.IndexByte(rest, '\'') {
		b, rest = append(b, rest[:at+1]...), rest[at+1:]
		if len(rest) > 0 && rest[0] == '\'' {
			rest = rest[1:]
		}
	}
	b = append(b, rest...)
	c.keep(b)
	return st.BindText(i, textOf(b))
}

// keep keeps the memory of a value for the next one, but not a huge value's.
func (c *column) keep(b []byte) {
	if c.scratch = b; cap(b) > hugeValue {
		c.scratch = nil
	}
}
