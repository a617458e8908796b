package postgres

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// form is how a column's bytes differ, on the wire, from those of its cells. Where the server's text costs more than its
// binary form, and writing the text here costs less, the column is read in binary.
type form uint8

const (
	same    form = iota // the server's text is the cell
	truth               // t and f
	raw                 // bytea: binary on the wire out, \x and hexadecimal digits in a statement
	real                // binary on the wire out
	double              // the same with 64 bits
	decimal             // digits after the point to the cell's scale
	scaled              // the column's own scale is the cell's: the text is the cell
	day                 // date, binary on the wire out
	clock               // time, binary on the wire out
	moment              // timestamp with and without time zone, binary on the wire out
	ident               // uuid, binary on the wire out
	span                // interval as a duration: the fraction to the shape's digits
	checked             // text of a server whose encoding proves nothing
)

// binaryForms are those that are binary on the wire out.
const binaryForms = 1<<raw | 1<<real | 1<<double | 1<<day | 1<<clock | 1<<moment | 1<<ident

// codec turns one column's fields into cells and cells into fields.
type codec struct {
	form     form
	wire     wire // how cells are written in binary
	cell     row.Kind
	column   string
	scale    int
	digits   int
	lenient  bool
	clean    bool   // the cell's bytes need no escape in COPY's text
	most     int    // characters of text, or digits after the point, that the column keeps; -1 for no limit
	oid      uint32 // the type that the form is made for; 0 where the text says all
	modifier int32  // and its modifier, for scaled
}

// codecs makes the codecs of a shape.
func (db *database) codecs(s schema.Shape) []codec {
	all := make([]codec, len(s.Columns))
	for i, c := range s.Columns {
		all[i] = codec{
			form: formOf(c), wire: wireOf(c), cell: c.Cell, column: c.Column.Name, scale: c.Scale, digits: c.Digits, lenient: c.Lenient,
			most: keeps(c.Column.Type.Raw),
		}
		all[i].oid, all[i].modifier = typeOf(all[i].form, c)
		switch c.Cell {
		case row.Text, row.JSON, row.Other:
			if all[i].form == same && db.encoding == "SQL_ASCII" {
				all[i].form = checked
			}
		case row.Bytes:
		default:
			all[i].clean = true
		}
	}
	return all
}

// keeps is a column's limit on what the server would cut or round without a word: blanks at the end of text, digits of
// a number or a second.
func keeps(raw string) int {
	first, second, given := modifiers(raw)
	switch kinds[plain(raw)] {
	case row.Text, row.Time, row.Timestamp, row.Instant:
		if given {
			return first
		}
	case row.Decimal:
		if given {
			return second
		}
	}
	return -1
}

// fits reports whether the column keeps the cell as it is.
func (c *codec) fits(cell []byte) bool {
	if c.most < 0 || len(cell) <= c.most {
		return true
	}
	if !c.clean {
		return utf8.RuneCount(cell) <= c.most
	}
	point := bytes.IndexByte(cell, '.')
	return point < 0 || c.form == same || len(bytes.TrimRight(cell[point+1:], "0")) <= c.most
}

func formOf(c schema.ShapeColumn) form {
	kind, known := kinds[plain(c.Column.Type.Raw)]
	if !known {
		kind = c.Column.Type.Kind
	}
	switch kind {
	case row.Bool:
		return truth
	case row.Bytes:
		return raw
	case row.Float32:
		return real
	case row.Float64:
		return double
	case row.Decimal:
		if c.Cell == row.Decimal {
			return decimalForm(c)
		}
	case row.Date:
		return day
	case row.Time:
		return clock
	case row.Timestamp, row.Instant:
		return moment
	case row.UUID:
		return ident
	case row.Interval, row.Duration:
		if c.Cell == row.Duration {
			return span
		}
	}
	return same
}

// decimalForm tells a column whose values all have the cell's scale, because its type says so.
func decimalForm(c schema.ShapeColumn) form {
	_, scale, given := modifiers(c.Column.Type.Raw)
	if given && scale >= 0 && scale == c.Scale && plain(c.Column.Type.Raw) == "numeric" {
		return scaled
	}
	return decimal
}

// The numbers of built-in types, which are the same in every server.
var typeNumbers = map[form]uint32{raw: 17, real: 700, double: 701, scaled: 1700, day: 1082, clock: 1083, ident: 2950}

// typeOf is the type that a form is made for, as the server describes it beside its rows.
func typeOf(f form, c schema.ShapeColumn) (oid uint32, modifier int32) {
	switch f {
	case moment:
		if kinds[plain(c.Column.Type.Raw)] == row.Instant || c.Column.Type.Kind == row.Instant {
			return 1184, 0
		}
		return 1114, 0
	case scaled:
		precision, scale, _ := modifiers(c.Column.Type.Raw)
		return typeNumbers[f], int32(precision<<16|scale) + 4
	}
	return typeNumbers[f], 0
}

// check compares the types of a result's columns with those that the codecs were made for: a table that was altered since
// it was inspected must not be read as what it was.
func check(all []codec, fields []pgconn.FieldDescription) error {
	for i, c := range all {
		f := fields[i]
		if c.oid != 0 && c.oid != f.DataTypeOID || c.form == scaled && c.modifier != f.TypeModifier {
			return &driver.CellError{Column: c.column, Why: "has another type than when the table was inspected"}
		}
	}
	return nil
}

// formats are the result formats to ask for: 1 for what is binary on the wire out.
func formats(all []codec) []int16 {
	f := make([]int16, len(all))
	for i, c := range all {
		if binaryForms>>c.form&1 == 1 {
			f[i] = 1
		}
	}
	return f
}

// appendTo adds one field as a cell; nil is NULL. Words of the product that the encoding has no place for (infinity, BC) pass
// as they are between two databases of this product, and become NULL where the operator accepted that.
func (c *codec) appendTo(b *row.Batch, field []byte) error {
	if field == nil {
		b.AppendNull()
		return nil
	}
	switch c.form {
	case truth:
		if len(field) == 1 && field[0] == 't' {
			b.AppendString("1")
		} else {
			b.AppendString("0")
		}
	case decimal:
		data, ok := row.AppendDecimal(b.Begin(), field, c.scale)
		b.End(data)
		if !ok {
			return &driver.CellError{Column: c.column, Why: "has more than " + strconv.Itoa(c.scale) + " digits after the point"}
		}
	case span:
		b.End(c.appendSpan(b.Begin(), field))
	case checked:
		if !utf8.Valid(field) {
			return &driver.CellError{Column: c.column, Why: "is not valid UTF-8"}
		}
		b.Append(field)
	case real, day:
		return c.append32(b, field)
	case double, clock, moment:
		return c.append64(b, field)
	case ident:
		if len(field) != 16 {
			return c.foreign()
		}
		b.End(row.AppendUUID(b.Begin(), [16]byte(field)))
	default:
		b.Append(field)
	}
	return nil
}

// foreign is the error about a field that can not be of the column's type.
func (c *codec) foreign() error {
	return &driver.CellError{Column: c.column, Why: "has another type than when the table was inspected"}
}

// append32 adds a field of four bytes.
func (c *codec) append32(b *row.Batch, field []byte) error {
	if len(field) != 4 {
		return c.foreign()
	}
	v := binary.BigEndian.Uint32(field)
	switch days := int(int32(v)); {
	case c.form == real:
		b.End(row.AppendFloat(b.Begin(), float64(math.Float32frombits(v)), 32))
	case c.lenient && (days < firstDay || days >= beyondDay):
		b.AppendNull()
	default:
		b.End(appendDate(b.Begin(), int32(v)))
	}
	return nil
}

// append64 adds a field of eight bytes.
func (c *codec) append64(b *row.Batch, field []byte) error {
	if len(field) != 8 {
		return c.foreign()
	}
	v := binary.BigEndian.Uint64(field)
	switch micros := int64(v); {
	case c.form == double && c.cell == row.Float32:
		b.End(row.AppendFloat(b.Begin(), math.Float64frombits(v), 32))
	case c.form == double:
		b.End(row.AppendFloat(b.Begin(), math.Float64frombits(v), 64))
	case c.form == clock && (micros < 0 || micros > dayMicros):
		return &driver.CellError{Column: c.column, Why: "is no time of a day"}
	case c.form == clock:
		b.End(appendClock(b.Begin(), micros, c.digits))
	case c.lenient && (micros < firstMoment || micros >= beyondMoments):
		b.AppendNull()
	default:
		b.End(appendMoment(b.Begin(), micros, c.digits))
	}
	return nil
}

// appendSpan writes a duration of less than a day's words: hours, minutes, seconds.
func (c *codec) appendSpan(dst, field []byte) []byte {
	if point := bytes.IndexByte(field, '.'); point >= 0 {
		field = field[:min(len(field), point+1+c.digits)]
	}
	return row.AppendFraction(dst, field)
}

// appendRow adds one row of fields. After an error the batch holds complete rows only.
func appendRow(b *row.Batch, all []codec, fields [][]byte) error {
	rows := b.Len()
	for i := range all {
		if err := all[i].appendTo(b, fields[i]); err != nil {
			b.Truncate(rows) // the field that failed may be there, and be the row's last
			return err
		}
	}
	return nil
}

// appendText writes a cell as the server's input text, for a parameter or a constant.
func (c *codec) appendText(dst, cell []byte) []byte {
	if c.form == raw {
		return hex.AppendEncode(append(dst, `\x`...), cell)
	}
	return append(dst, cell...)
}

// escapes are the bytes that COPY's text format writes in another way.
var escapes = [256]byte{'\\': '\\', '\n': 'n', '\r': 'r', '\t': 't'}

// piece is how much of a long cell is encoded at one time.
const piece = 32 << 10

// appendPiece writes a stretch of a cell for COPY, which need not be the whole cell.
func (c *codec) appendPiece(dst, part []byte) []byte {
	switch {
	case c.clean:
		return append(dst, part...)
	case c.form == raw:
		return hex.AppendEncode(dst, part)
	}
	start := 0
	for i, x := range part {
		if e := escapes[x]; e != 0 {
			dst = append(dst, part[start:i]...)
			dst = append(dst, '\\', e)
			start = i + 1
		}
	}
	return append(dst, part[start:]...)
}
