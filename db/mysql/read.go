package mysql

import (
	"bytes"
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

var errBound = errors.New("the bound of a range has not the key's width")

// keysAtOnce is how many keys one statement asks for. More make the server's range optimizer slow.
const keysAtOnce = 500

// Read opens a cursor. Key lists are asked for in parts, each a statement with a snapshot of its own.
func (d *database) Read(ctx context.Context, q driver.Query) (driver.Cursor, error) {
	l, err := d.work.take(ctx)
	if err != nil {
		return nil, err
	}
	c := &cursor{lease: l, ctx: ctx, d: d, q: q, cells: newCells(q.Table, q.Shape)}
	if q.Keys == nil {
		err = c.readRange()
	} else {
		c.wanted = map[[16]byte]struct{}{}
		for i := range q.Keys.Len() {
			c.wanted[row.Seed(0).Digest(q.Keys.Row(i))] = struct{}{}
		}
	}
	if err != nil {
		l.back()
		return nil, fmt.Errorf("read %s: %w", q.Table.Name, err)
	}
	return c, nil
}

type cursor struct {
	*lease
	ctx    context.Context // of Read: the client library watches it while rows are open
	d      *database
	q      driver.Query
	cells  *cells
	rows   sqldriver.Rows // nil between statements
	asked  int            // keys asked for so far
	wanted map[[16]byte]struct{}
	key    []byte
	done   bool
}

func (c *cursor) readRange() error {
	key := keyColumns(c.q.Shape)
	where, err := within(key, c.q.Range)
	if err != nil {
		return err
	}
	sql := "SELECT " + c.cells.exprs("t") + " FROM " + c.d.dialect.name(c.q.Table.Name) + " t"
	if where != "" || c.q.Order == driver.KeyOrder && len(key) > 0 {
		sql = "SELECT " + c.cells.exprs("t") + c.d.along(c.q.Table, key)
	}
	if where != "" {
		sql += " WHERE " + where
	}
	if c.q.Order == driver.KeyOrder && len(key) > 0 {
		sql += order(key, "")
	}
	c.rows, err = c.conn.QueryContext(c.ctx, sql, nil)
	return err
}

// readKeys asks for the next part of the key list; io.EOF when there is none.
func (c *cursor) readKeys() (err error) {
	if c.asked >= c.q.Keys.Len() {
		return io.EOF
	}
	last := min(c.asked+keysAtOnce, c.q.Keys.Len())
	key := keyColumns(c.q.Shape)
	sql := "SELECT " + c.cells.exprs("t") + c.d.along(c.q.Table, key) + " WHERE " + among(key, c.q.Keys, c.asked, last)
	c.asked = last
	c.rows, err = c.conn.QueryContext(c.ctx, sql, nil)
	return err
}

// Fill appends rows until the batch is full.
func (c *cursor) Fill(ctx context.Context, b *row.Batch) error {
	b.Reset()
	if c.done || c.resource == nil {
		return io.EOF
	}
	stop := context.AfterFunc(ctx, c.kill)
	defer stop()
	err := c.fill(b)
	if err == nil || errors.Is(err, io.EOF) {
		c.done = errors.Is(err, io.EOF)
		return err
	}
	c.done = true
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fmt.Errorf("read %s: %w", c.q.Table.Name, err)
}

func (c *cursor) fill(b *row.Batch) error {
	for b.Size() < 1<<20 && b.Len() < 5000 {
		if c.rows == nil {
			if c.q.Keys == nil {
				return io.EOF
			}
			if err := c.readKeys(); err != nil {
				return err
			}
		}
		switch err := c.rows.Next(c.cells.values); {
		case errors.Is(err, io.EOF):
			err = c.rows.Close()
			if c.rows = nil; err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		if err := c.cells.append(b, c.cells.values); err != nil {
			b.Abandon()
			return err
		}
		if c.wanted != nil && !c.asksFor(b) {
			b.Truncate(b.Len() - 1)
		}
	}
	return nil
}

// asksFor reports whether the last row's key is byte for byte one that was asked for, and asks for it no more, so that a
// row which two keys find under a collation comes once.
func (c *cursor) asksFor(b *row.Batch) bool {
	c.key = b.AppendKey(c.key[:0], b.Len()-1, c.q.Shape.Key)
	digest := row.Seed(0).Digest(c.key)
	_, ok := c.wanted[digest]
	delete(c.wanted, digest)
	return ok
}

// Durable waits for the server's log.
func (c *cursor) Durable(ctx context.Context) error {
	if c.resource == nil {
		return errors.New("the cursor is closed")
	}
	return c.d.durable(ctx, c.session)
}

// Close ends the query; a session whose rows were not all read is ended with it.
func (c *cursor) Close() error {
	if c.rows != nil {
		c.rows = nil
		c.kill() // what is left of the rows is not waited for
	}
	c.back()
	return nil
}

// cells turns a shape's values, as the client library hands them out, into canonical cells.
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
	asTime
	asDecimal
	asBits
	asFloat32
)

func newCells(t *schema.Table, s schema.Shape) *cells {
	c := &cells{table: t, shape: s, ops: make([]op, s.Width()), values: make([]sqldriver.Value, s.Width())}
	for i, col := range s.Columns {
		switch {
		case col.Column.Type.Kind == row.Bits && baseWord(col.Column.Type.Raw) == "bit":
			c.ops[i] = asBits
		case col.Cell == row.Decimal:
			c.ops[i] = asDecimal
		case col.Cell == row.Float32:
			c.ops[i] = asFloat32
		case col.Cell >= row.Date && col.Cell <= row.Duration:
			c.ops[i] = asTime
		case (col.Cell == row.Text || col.Cell == row.JSON) && col.Column.Type.Charset != "":
			c.ops[i] = asUTF8
		}
	}
	return c
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
		col := &c.shape.Columns[i]
		switch v := v.(type) {
		case nil:
			b.AppendNull()
			continue
		case []byte:
			if why := c.bytes(b, i, col, v); why != "" {
				return c.fault(i, values, why)
			}
			continue
		case int64:
			c.scratch = strconv.AppendInt(c.scratch[:0], v, 10)
		case uint64:
			c.scratch = strconv.AppendUint(c.scratch[:0], v, 10)
		case float64:
			bits := 64
			if c.ops[i] == asFloat32 {
				bits = 32
			}
			b.End(row.AppendFloat(b.Begin(), v, bits))
			continue
		case float32:
			b.End(row.AppendFloat(b.Begin(), float64(v), 32))
			continue
		default:
			return c.fault(i, values, "has a form that is not known")
		}
		if c.ops[i] == asDecimal {
			if why := c.bytes(b, i, col, c.scratch); why != "" {
				return c.fault(i, values, why)
			}
			continue
		}
		b.Append(c.scratch)
	}
	return nil
}

// bytes adds one cell from the server's text, or says why it can not.
func (c *cells) bytes(b *row.Batch, i int, col *schema.ShapeColumn, v []byte) string {
	switch c.ops[i] {
	case asUTF8:
		if !utf8.Valid(v) {
			return "is not valid UTF-8"
		}
		b.Append(v)
	case asTime:
		if col.Lenient && zeroDate(v) {
			b.AppendNull()
			return ""
		}
		b.End(row.AppendFraction(b.Begin(), digits(v, col.Digits)))
	case asDecimal:
		cell, ok := row.AppendDecimal(b.Begin(), unfill(v), col.Scale)
		if !ok {
			return "has more digits after the point than travel"
		}
		b.End(cell)
	case asBits:
		if col.Cell == row.Bool {
			b.End(row.AppendBits(b.Begin(), v, 1))
			return ""
		}
		b.End(row.AppendBits(b.Begin(), v, int(col.Column.Type.Length)))
	default:
		b.Append(v)
	}
	return ""
}

// unfill takes away the zeros that ZEROFILL shows.
func unfill(v []byte) []byte {
	for len(v) > 1 && v[0] == '0' && v[1] != '.' {
		v = v[1:]
	}
	return v
}

// zeroDate reports a date or time whose month or day is zero.
func zeroDate(v []byte) bool {
	return len(v) >= 10 && v[4] == '-' && (string(v[5:7]) == "00" || string(v[8:10]) == "00")
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

func (c *cells) fault(i int, values []sqldriver.Value, why string) error {
	var key []string
	for _, k := range c.shape.Key {
		key = append(key, asText(values[k]))
	}
	return &driver.CellError{Table: c.table.Name, Column: c.shape.Columns[i].Column.Name, Key: strings.Join(key, ", "), Why: why}
}
