package mysql

import (
	"bytes"
	sqldriver "database/sql/driver"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// cells turns a shape's values into canonical cells: from the server's text, as wire reads it, or from what the client
// library makes of that.
type cells struct {
	table   *schema.Table
	shape   schema.Shape
	ops     []op
	values  []sqldriver.Value
	scratch []byte
}

type op uint8

const (
	asIs op = iota
	asUTF8
	asInt // with zeros before it, perhaps
	asTime
	asDecimal
	asFixed // a decimal with the digits after the point that travel
	asBits
	asFloat64
	asFloat32
)

func newCells(t *schema.Table, s schema.Shape) *cells {
	c := &cells{table: t, shape: s, ops: make([]op, s.Width()), values: make([]sqldriver.Value, s.Width())}
	for i := range s.Columns {
		c.ops[i] = opOf(&s.Columns[i])
	}
	return c
}

func opOf(col *schema.ShapeColumn) op {
	t := &col.Column.Type
	word := baseWord(t.Raw)
	filled := strings.Contains(strings.ToLower(t.Raw), "zerofill")
	switch {
	case t.Kind == row.Bits && word == "bit":
		return asBits
	case (t.Kind == row.Float32 || t.Kind == row.Float64) && col.Cell == row.Float32:
		return asFloat32
	case t.Kind == row.Float32 || t.Kind == row.Float64:
		return asFloat64
	case col.Cell == row.Decimal && word == "decimal" && !filled && t.Scale == col.Scale:
		return asFixed
	case col.Cell == row.Decimal:
		return asDecimal
	case col.Cell == row.Date && word == "date" && !col.Lenient:
		return asIs
	case col.Cell >= row.Date && col.Cell <= row.Duration:
		return asTime
	case (col.Cell == row.Text || col.Cell == row.JSON) && t.Charset != "":
		return asUTF8
	case t.Kind == row.Int && (filled || word == "year"):
		return asInt
	}
	return asIs
}

// exprs lists what is selected for the cells. A float comes as the double that it is, because as itself it would come
// with six digits (HAZARDS 59); a spatial value with its reference system.
func (c *cells) exprs(alias string) string {
	all := make([]string, len(c.shape.Columns))
	for i, col := range c.shape.Columns {
		all[i] = expr(alias, col.Column)
	}
	return strings.Join(all, ", ")
}

func expr(alias string, c *schema.Column) string {
	name := alias + "." + quote(c.Name)
	switch {
	case c.Type.Kind == row.Float32:
		return name + "*1e0"
	case geometry(c.Type):
		return "CONCAT('SRID=',ST_SRID(" + name + "),';',ST_AsText(" + name + "))"
	}
	return name
}

// append adds one row to the batch.
func (c *cells) append(b *row.Batch, values []sqldriver.Value) error {
	for i, v := range values {
		switch v := v.(type) {
		case nil:
			b.AppendNull()
			continue
		case []byte:
			if why := c.text(b, i, v); why != "" {
				return c.fault(i, values, why)
			}
			continue
		case int64:
			c.scratch = strconv.AppendInt(c.scratch[:0], v, 10)
		case uint64:
			c.scratch = strconv.AppendUint(c.scratch[:0], v, 10)
		case float64:
			b.End(row.AppendFloat(b.Begin(), v, c.bits(i)))
			continue
		case float32:
			b.End(row.AppendFloat(b.Begin(), float64(v), 32))
			continue
		default:
			return c.fault(i, values, "has a form that is not known")
		}
		if c.ops[i] == asDecimal {
			if why := c.text(b, i, c.scratch); why != "" {
				return c.fault(i, values, why)
			}
			continue
		}
		b.Append(c.scratch)
	}
	return nil
}

func (c *cells) bits(i int) int {
	if c.ops[i] == asFloat32 {
		return 32
	}
	return 64
}

// text adds one cell from the server's text, or that text as it is and says why it is no cell.
func (c *cells) text(b *row.Batch, i int, v []byte) string {
	switch c.ops[i] {
	case asIs:
		b.Append(v)
	case asUTF8:
		b.Append(v)
		return c.judge(i, v)
	case asInt:
		b.Append(unfill(v))
	case asTime:
		col := &c.shape.Columns[i]
		if col.Lenient && zeroDate(v) {
			b.AppendNull()
			return ""
		}
		b.End(row.AppendFraction(b.Begin(), digits(v, col.Digits)))
	case asFixed:
		if !fixed(v, c.shape.Columns[i].Scale) {
			return c.decimal(b, i, v)
		}
		b.Append(v)
	case asDecimal:
		return c.decimal(b, i, v)
	case asBits:
		n := 1
		if col := &c.shape.Columns[i]; col.Cell != row.Bool {
			n = int(col.Column.Type.Length)
		}
		b.End(row.AppendBits(b.Begin(), v, n))
	case asFloat64, asFloat32:
		f, err := strconv.ParseFloat(string(v), 64)
		if err != nil {
			b.Append(v)
			return "is not a number"
		}
		b.End(row.AppendFloat(b.Begin(), f, c.bits(i)))
	}
	return ""
}

func (c *cells) decimal(b *row.Batch, i int, v []byte) string {
	cell, ok := row.AppendDecimal(b.Begin(), unfill(v), c.shape.Columns[i].Scale)
	if !ok {
		b.End(append(cell, v...))
		return "has more digits after the point than travel"
	}
	b.End(cell)
	return ""
}

// judge says why a text is none, if it is none.
func (c *cells) judge(i int, v []byte) string {
	if c.ops[i] == asUTF8 && !utf8.Valid(v) {
		return "is not valid UTF-8"
	}
	return ""
}

// fixed reports that the server's decimal is the cell: one digit or no zero before the point, and after it scale digits.
func fixed(v []byte, scale int) bool {
	whole := len(v)
	if scale > 0 {
		if whole -= scale + 1; whole < 1 || v[whole] != '.' {
			return false
		}
	}
	return whole == 1 && v[0] != '-' || whole > 1 && v[0] > '0' && v[0] <= '9'
}

// unfill takes away the zeros that ZEROFILL shows.
func unfill(v []byte) []byte {
	for len(v) > 1 && v[0] == '0' && v[1] != '.' {
		v = v[1:]
	}
	return v
}

// zeroDate reports a date or time whose year, month or day is zero.
func zeroDate(v []byte) bool {
	return len(v) >= 10 && v[4] == '-' && (string(v[:4]) == "0000" || string(v[5:7]) == "00" || string(v[8:10]) == "00")
}

// digits cuts a time's fraction to the digits that travel.
func digits(v []byte, most int) []byte {
	if point := bytes.IndexByte(v, '.'); point >= 0 && len(v)-point-1 > most {
		if most == 0 {
			return v[:point]
		}
		return v[:point+1+most]
	}
	return v
}

// reject takes the row that was added last out of the batch and names the value in it that is no cell.
func (c *cells) reject(b *row.Batch, i int, why string) error {
	last := b.Len() - 1
	key := keyText(b, last, c.shape.Key)
	b.Truncate(last)
	return &driver.CellError{Table: c.table.Name, Column: c.shape.Columns[i].Column.Name, Key: key, Why: why}
}

func (c *cells) fault(i int, values []sqldriver.Value, why string) error {
	var key []string
	for _, k := range c.shape.Key {
		key = append(key, asText(values[k]))
	}
	return &driver.CellError{Table: c.table.Name, Column: c.shape.Columns[i].Column.Name, Key: strings.Join(key, ", "), Why: why}
}
