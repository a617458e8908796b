package sqlite

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// A cell is made from the value's storage class, never from what SQLite would convert it to: what a column's kind can not
// say is refused with a clause, so that nothing is changed in silence.

// value is one stored value. Its bytes are SQLite's own and are valid until the next call on the statement.
type value struct {
	class sqlite3.Datatype
	i     int64
	f     float64
	b     []byte
}

// scan takes column i of the current row. The statement is asked once for the place of the value and then the value itself,
// which spares the statement's own checks in every one of its accessors. It may only be asked by one goroutine at a time,
// as everything here. Bytes that are not there are asked of the statement again: it is the one that tells an empty BLOB from
// a text that had no room.
func (v *value) scan(st *sqlite3.Stmt, i int) {
	v.load(st.ColumnValue(i))
	switch {
	case v.class == sqlite3.TEXT && v.b == nil:
		v.b = st.ColumnRawText(i)
	case v.class == sqlite3.BLOB && v.b == nil:
		v.b = st.ColumnRawBlob(i)
	}
}

// load takes a value of a hook or a function.
func (v *value) load(from sqlite3.Value) {
	v.class = from.Type()
	switch v.class {
	case sqlite3.INTEGER:
		v.i = from.Int64()
	case sqlite3.FLOAT:
		v.f = from.Float()
	case sqlite3.TEXT:
		v.b = from.RawText()
	case sqlite3.BLOB:
		v.b = from.RawBlob()
	}
}

// column is a travelling column, made ready.
type column struct {
	name     string
	cell     row.Kind
	scale    int
	digits   int
	affinity affinity
	literal  bool // cells are SQL literals: declared without a type, or between two databases of this product
	key      bool // part of the key: the cell must find the row again
	lenient  bool
	null     bool
	scratch  []byte // for a value that is bound in other bytes than its cell's
}

func columnsOf(s schema.Shape) []column {
	all := make([]column, len(s.Columns))
	for i, c := range s.Columns {
		all[i] = column{
			name: c.Column.Name, cell: c.Cell, scale: c.Scale, digits: c.Digits, lenient: c.Lenient, null: c.Column.Null,
			affinity: affinityOf(c.Column.Type.Raw), literal: c.Cell == row.Other && (untyped(c.Column.Type) || c.Column.Type.Kind != row.Other),
		}
	}
	for _, k := range s.Key {
		all[k].key = true
	}
	return all
}

// Clauses that say why a value has no cell.
const (
	isNoInteger  = "is not an integer"
	isNoBool     = "is neither 0 nor 1"
	isNoNumber   = "is not a number"
	isTooFine    = "has more digits after the point than its type declares"
	isNoText     = "is a BLOB in a column of text"
	isNotUTF8    = "is not valid UTF-8"
	isNoBlob     = "is not a BLOB"
	isNoDate     = "is not a date or time of the form its type has"
	isZeroDate   = "is a date with a zero month or day"
	isTooFineSec = "has more digits of the second than travel"
	isNoUUID     = "is not a UUID"
	isNoBits     = "is not text of the characters 0 and 1"
	isOtherText  = "is in a key and is not written the one way its type is"
	isTooPrecise = "has more digits than a float of 32 bits"
)

// appendCell appends the cell of a value that is not NULL, or returns a clause that says why it has none.
func (c *column) appendCell(dst []byte, v *value) ([]byte, string) {
	if c.literal {
		return appendLiteral(dst, v)
	}
	switch c.cell {
	case row.Bool:
		if v.class != sqlite3.INTEGER || v.i != 0 && v.i != 1 {
			return dst, isNoBool
		}
		return strconv.AppendInt(dst, v.i, 10), ""
	case row.Int:
		return c.appendInt(dst, v)
	case row.Decimal:
		return c.appendDecimal(dst, v)
	case row.Float32, row.Float64:
		return c.appendFloat(dst, v)
	case row.Bytes:
		if v.class != sqlite3.BLOB {
			return dst, isNoBlob
		}
		return append(dst, v.b...), ""
	case row.Date, row.Time, row.Timestamp, row.Instant, row.Duration:
		return c.appendTime(dst, v)
	case row.UUID:
		return c.appendUUID(dst, v)
	case row.Bits:
		if v.class != sqlite3.TEXT || len(bytes.Trim(v.b, "01")) > 0 {
			return dst, isNoBits
		}
		return append(dst, v.b...), ""
	}
	return appendText(dst, v)
}

func appendText(dst []byte, v *value) ([]byte, string) {
	switch v.class {
	case sqlite3.INTEGER:
		return strconv.AppendInt(dst, v.i, 10), ""
	case sqlite3.FLOAT:
		return row.AppendFloat(dst, v.f, 64), ""
	case sqlite3.BLOB:
		return dst, isNoText
	}
	if !utf8.Valid(v.b) {
		return dst, isNotUTF8
	}
	return append(dst, v.b...), ""
}

func (c *column) appendInt(dst []byte, v *value) ([]byte, string) {
	switch {
	case v.class == sqlite3.INTEGER:
		return strconv.AppendInt(dst, v.i, 10), ""
	case v.class == sqlite3.TEXT && c.affinity == affinityText && plainInteger(v.b):
		return append(dst, v.b...), ""
	}
	return dst, isNoInteger
}

// plainInteger reports digits without leading zeros, '-' before them or not.
func plainInteger(b []byte) bool {
	if len(b) > 0 && b[0] == '-' {
		b = b[1:]
		if len(b) == 1 && b[0] == '0' {
			return false
		}
	}
	if len(b) == 0 || b[0] == '0' && len(b) > 1 {
		return false
	}
	for _, d := range b {
		if d < '0' || d > '9' {
			return false
		}
	}
	return true
}

func (c *column) appendDecimal(dst []byte, v *value) ([]byte, string) {
	var scratch [400]byte // a float in plain digits has at most 309 before the point or 340 after it
	var plain []byte
	switch v.class {
	case sqlite3.INTEGER:
		plain = strconv.AppendInt(scratch[:0], v.i, 10)
	case sqlite3.FLOAT:
		if out, ok := appendScaled(dst, v.f, c.scale); ok {
			return out, ""
		}
		if math.IsInf(v.f, 0) {
			return row.AppendFloat(dst, v.f, 64), ""
		}
		plain = strconv.AppendFloat(scratch[:0], v.f, 'f', -1, 64)
	case sqlite3.TEXT:
		if notFinite(v.b) {
			return append(dst, v.b...), ""
		}
		if c.affinity != affinityText || !plainDecimal(v.b) {
			return dst, isNoNumber
		}
		plain = v.b
	default:
		return dst, isNoNumber
	}
	out, ok := row.AppendDecimal(dst, plain, c.scale)
	if !ok {
		return dst, isTooFine
	}
	if c.key && v.class == sqlite3.TEXT && !bytes.Equal(out[len(dst):], v.b) {
		return dst, isOtherText
	}
	return out, ""
}

// appendScaled appends a float as a decimal of scale digits where that is its shortest text, which it finds without looking
// for the shortest text: a whole number of at most 15 digits, divided by a power of ten, both exact, gives the float that is
// nearest to that decimal; if it is this float, the decimal reads back as it, and no other decimal of so few digits does.
func appendScaled(dst []byte, f float64, scale int) ([]byte, bool) {
	units, exact := inUnits(f, scale)
	if !exact || units == 0 {
		return dst, false
	}
	power := powers[scale]
	if units < 0 {
		dst, units = append(dst, '-'), -units
	}
	whole := uint64(units) / uint64(power)
	dst = strconv.AppendUint(dst, whole, 10)
	if scale == 0 {
		return dst, true
	}
	start := len(dst)
	dst = strconv.AppendUint(dst, uint64(units)-whole*uint64(power)+uint64(power), 10) // a 1 before the fraction keeps its zeros
	dst[start] = '.'
	return dst, true
}

// inUnits returns how many units of the last of scale digits a float's shortest text has, where that text has no more digits.
func inUnits(f float64, scale int) (units float64, exact bool) {
	if scale < 0 || scale >= len(powers) {
		return 0, false
	}
	units = math.RoundToEven(f * powers[scale])
	return units, math.Abs(units) < 1e15 && units/powers[scale] == f
}

// powers are the powers of ten that a decimal of 15 digits can have behind its point.
var powers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

func notFinite(b []byte) bool {
	s := textOf(b)
	return s == "NaN" || s == "Infinity" || s == "-Infinity"
}

// plainDecimal reports digits with at most one point among them, '-' before them or not.
func plainDecimal(b []byte) bool {
	if len(b) > 0 && b[0] == '-' {
		b = b[1:]
	}
	digits, points := 0, 0
	for _, d := range b {
		switch {
		case d >= '0' && d <= '9':
			digits++
		case d == '.':
			points++
		default:
			return false
		}
	}
	return digits > 0 && points <= 1 && b[len(b)-1] != '.'
}

func (c *column) appendFloat(dst []byte, v *value) ([]byte, string) {
	f := v.f
	switch v.class {
	case sqlite3.INTEGER:
		if f = float64(v.i); v.i > 1<<53 || v.i < -1<<53 {
			return dst, isNoNumber
		}
	case sqlite3.TEXT:
		if c.affinity != affinityText {
			return dst, isNoNumber
		}
		var err error
		if f, err = strconv.ParseFloat(textOf(v.b), 64); err != nil {
			return dst, isNoNumber
		}
	case sqlite3.BLOB:
		if string(v.b) != negativeZero {
			return dst, isNoNumber
		}
		return append(dst, negativeZero...), ""
	}
	if c.cell == row.Float64 {
		return row.AppendFloat(dst, f, 64), ""
	}
	out := row.AppendFloat(dst, f, 32)
	if float64(float32(f)) == f || math.IsInf(f, 0) {
		return out, ""
	}
	var wide [32]byte // a float that was stored in its short text is as good: 0.1
	if !bytes.Equal(row.AppendFloat(wide[:0], f, 64), out[len(dst):]) {
		return dst, isTooPrecise
	}
	return out, ""
}

func (c *column) appendUUID(dst []byte, v *value) ([]byte, string) {
	if v.class != sqlite3.TEXT || len(v.b) != 36 {
		return dst, isNoUUID
	}
	for i, d := range v.b {
		hyphen := i == 8 || i == 13 || i == 18 || i == 23
		switch {
		case hyphen != (d == '-'):
			return dst, isNoUUID
		case hyphen, d >= '0' && d <= '9', d >= 'a' && d <= 'f':
		case d >= 'A' && d <= 'F' && c.key:
			return dst, isOtherText
		case d >= 'A' && d <= 'F':
		default:
			return dst, isNoUUID
		}
	}
	for _, d := range v.b {
		if d >= 'A' && d <= 'F' {
			d += 'a' - 'A'
		}
		dst = append(dst, d)
	}
	return dst, ""
}
