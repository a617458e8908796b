package sqlite

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"unsafe"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/row"
)

// bind gives parameter i the value that a cell says, in the storage class that the column keeps it in. A value that the
// column would alter is refused: errData, with a clause.
func (c *column) bind(st *sqlite3.Stmt, i int, cell []byte) error {
	switch {
	case cell == nil:
		return st.BindNull(i)
	case c.literal:
		return c.bindLiteral(st, i, cell)
	case c.cell == row.Bytes:
		return st.BindBlob(i, cell)
	case c.affinity == affinityText:
		return st.BindText(i, textOf(cell))
	}
	switch c.cell {
	case row.Bool, row.Int:
		n, err := strconv.ParseInt(textOf(cell), 10, 64)
		if err != nil {
			return c.refuse("is not an integer of 64 bits")
		}
		return st.BindInt64(i, n)
	case row.Decimal:
		if c.affinity != affinityBlob {
			return c.bindDecimal(st, i, cell)
		}
	case row.Float32, row.Float64:
		return c.bindFloat(st, i, cell)
	}
	return st.BindText(i, textOf(cell))
}

func (c *column) refuse(why string) error {
	return fmt.Errorf("column %s %s: %w", c.name, why, errData)
}

// negativeZero is how a column of floats keeps negative zero: as a BLOB of its text, because every numeric affinity turns the
// number itself into 0. It counts as 0 in sums, and CAST(x AS REAL) gives it back.
const negativeZero = "-0"

func (c *column) bindFloat(st *sqlite3.Stmt, i int, cell []byte) error {
	f, err := strconv.ParseFloat(textOf(cell), 64)
	switch {
	case err != nil:
		return c.refuse("is not a float")
	case math.IsNaN(f) && c.lenient:
		return st.BindNull(i)
	case math.IsNaN(f):
		return c.refuse("is NaN, which becomes NULL here")
	case f == 0 && math.Signbit(f) && c.affinity != affinityBlob:
		return st.BindBlob(i, []byte(negativeZero))
	}
	if c.cell == row.Float32 {
		if narrow, err := strconv.ParseFloat(textOf(cell), 32); err == nil && float32(f) != float32(narrow) {
			f = narrow
		}
	}
	return st.BindFloat(i, f)
}

// bindDecimal gives a decimal to a numeric column as the number that the column would make of its text: an integer where there
// is nothing but zeros after the point, else the nearest float.
func (c *column) bindDecimal(st *sqlite3.Stmt, i int, cell []byte) error {
	if significant(cell) > exactDigits {
		return c.bindLong(st, i, cell)
	}
	units, digits, ok := cutUnits(cell)
	switch {
	case !ok:
		return st.BindText(i, textOf(cell)) // NaN, an infinity, or a number of very many zeros
	case digits == 0:
		return st.BindInt64(i, units)
	}
	return st.BindFloat(i, float64(units)/powers[digits]) // both are exact, so that the quotient is the nearest float
}

// cutUnits reads a plain decimal as a whole number and how many of its digits stand behind the point, without the zeros at the
// end of the fraction; false for more than 18 digits, or more behind the point than powers has, or anything else.
func cutUnits(cell []byte) (units int64, digits int, ok bool) {
	point := bytes.IndexByte(cell, '.')
	if point >= 0 {
		for cell[len(cell)-1] == '0' {
			cell = cell[:len(cell)-1]
		}
		digits = len(cell) - 1 - point
	}
	if len(cell) == 0 || len(cell) > 18 || digits >= len(powers) {
		return 0, 0, false
	}
	rest := cell
	if rest[0] == '-' {
		rest = rest[1:]
	}
	for at, d := range rest {
		switch {
		case d >= '0' && d <= '9':
			units = units*10 + int64(d-'0')
		case d != '.' || len(cell)-len(rest)+at != point:
			return 0, 0, false
		}
	}
	if cell[0] == '-' {
		units = -units
	}
	return units, digits, len(rest) > 0
}

// bindLong gives a decimal of more than 15 digits to a numeric column: as an integer or a float, if one of them is exactly this
// cell again when it is read.
func (c *column) bindLong(st *sqlite3.Stmt, i int, cell []byte) error {
	whole, fraction, _ := bytes.Cut(cell, []byte("."))
	if n, err := strconv.ParseInt(textOf(whole), 10, 64); err == nil && len(bytes.Trim(fraction, "0")) == 0 {
		return st.BindInt64(i, n)
	}
	f, err := strconv.ParseFloat(textOf(cell), 64)
	if err == nil {
		back, ok := row.AppendDecimal(nil, strconv.AppendFloat(nil, f, 'f', -1, 64), c.scale)
		if ok && bytes.Equal(back, cell) {
			return st.BindFloat(i, f)
		}
	}
	return c.refuse("has more digits than a number here keeps")
}

// significant counts a decimal's digits without the zeros before and after; 0 for NaN and the infinities.
func significant(cell []byte) int {
	if cell[len(cell)-1] > '9' {
		return 0
	}
	n, zeros := 0, 0
	for _, d := range cell {
		switch {
		case d == '0' && n > 0:
			zeros++
		case d > '0' && d <= '9':
			n, zeros = n+zeros+1, 0
		}
	}
	return n
}

// bindRaw gives parameter i a stored value in its own storage class.
func (v *value) bindRaw(st *sqlite3.Stmt, i int) error {
	switch v.class {
	case sqlite3.INTEGER:
		return st.BindInt64(i, v.i)
	case sqlite3.FLOAT:
		return st.BindFloat(i, v.f)
	case sqlite3.TEXT:
		return st.BindText(i, textOf(v.b))
	case sqlite3.BLOB:
		return st.BindBlob(i, v.b)
	}
	return st.BindNull(i)
}

// textOf lets bytes be bound or parsed as text without a copy a cell. The string must not outlive the bytes.
func textOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
