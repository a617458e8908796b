package postgres

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// form is how a column's bytes differ, on the wire, from those of its cells.
type form uint8

const (
	same    form = iota // the server's text is the cell
	truth               // t and f
	raw                 // bytea: binary on the wire out, \x and hexadecimal digits in
	real                // binary on the wire out
	double              // the same with 64 bits
	decimal             // digits after the point to the cell's scale
	moment              // date, time, timestamp: the fraction to the shape's digits
	instant             // the same, followed by +00
	checked             // text of a server whose encoding proves nothing
)

// codec turns one column's fields into cells and cells into fields.
type codec struct {
	form    form
	cell    row.Kind
	column  string
	scale   int
	digits  int
	lenient bool
	clean   bool // the cell's bytes need no escape in COPY's text
	most    int  // characters of text, or digits after the point, that the column keeps; -1 for no limit
}

// codecs makes the codecs of a shape.
func (db *database) codecs(s schema.Shape) []codec {
	all := make([]codec, len(s.Columns))
	for i, c := range s.Columns {
		all[i] = codec{
			form: formOf(c), cell: c.Cell, column: c.Column.Name, scale: c.Scale, digits: c.Digits, lenient: c.Lenient,
			most: keeps(c.Column.Type.Raw),
		}
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
			return decimal
		}
	case row.Date, row.Time, row.Timestamp:
		return moment
	case row.Instant:
		return instant
	case row.Interval, row.Duration:
		if c.Cell == row.Duration {
			return moment
		}
	}
	return same
}

// formats are the result formats to ask for: 1 for what is binary on the wire.
func formats(all []codec) []int16 {
	f := make([]int16, len(all))
	for i, c := range all {
		if c.form == raw || c.form == real || c.form == double {
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
		if field[0] == 't' {
			b.AppendString("1")
		} else {
			b.AppendString("0")
		}
	case real:
		bits := math.Float32frombits(binary.BigEndian.Uint32(field))
		b.End(row.AppendFloat(b.Begin(), float64(bits), 32))
	case double:
		width := 64
		if c.cell == row.Float32 {
			width = 32
		}
		b.End(row.AppendFloat(b.Begin(), math.Float64frombits(binary.BigEndian.Uint64(field)), width))
	case decimal:
		data, ok := row.AppendDecimal(b.Begin(), field, c.scale)
		b.End(data)
		if !ok {
			return &driver.CellError{Column: c.column, Why: "has more than " + strconv.Itoa(c.scale) + " digits after the point"}
		}
	case moment, instant:
		if c.lenient && beyond(field) {
			b.AppendNull()
			return nil
		}
		b.End(c.appendMoment(b.Begin(), field))
	case checked:
		if !utf8.Valid(field) {
			return &driver.CellError{Column: c.column, Why: "is not valid UTF-8"}
		}
		b.Append(field)
	default:
		b.Append(field)
	}
	return nil
}

// beyond reports a moment that only this product has: infinity, a year before 1 or after 9999.
func beyond(field []byte) bool {
	year := bytes.IndexByte(field, '-')
	return field[len(field)-1] == 'C' || field[len(field)-1] == 'y' || year > 4
}

func (c *codec) appendMoment(dst, field []byte) []byte {
	text, bc := bytes.CutSuffix(field, []byte(" BC"))
	if c.form == instant {
		text, _ = bytes.CutSuffix(text, []byte("+00"))
	}
	if point := bytes.IndexByte(text, '.'); point >= 0 {
		text = text[:min(len(text), point+1+c.digits)]
		dst = row.AppendFraction(dst, text)
	} else {
		dst = append(dst, text...)
	}
	if bc {
		dst = append(dst, " BC"...)
	}
	return dst
}

// appendRow adds one row of fields. After an error the batch holds complete rows only.
func appendRow(b *row.Batch, all []codec, fields [][]byte) error {
	for i := range all {
		if err := all[i].appendTo(b, fields[i]); err != nil {
			b.Abandon()
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
