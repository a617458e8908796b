package sqlite

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// surveyor looks at every value of a table once, a page at a time in read transactions of their own. SQLite stores what it
// is given, so that this census is the only way to know whether a column holds what its type says. WrongClass stands for
// every value that has no cell, dates that are not of their form included.
type surveyor struct{ d *database }

// Survey returns what was found, column by column.
func (sv surveyor) Survey(ctx context.Context, t *schema.Table) ([]driver.Fact, error) {
	s, err := sv.d.take(ctx, sv.d.work)
	if err != nil {
		return nil, fmt.Errorf("survey %s: %w", t.Name, err)
	}
	defer sv.d.give(s)
	c := newCensus(t)
	p := pageBy(t)
	for more := true; more; {
		if more, err = c.page(sv.d, s, &p); err == nil {
			err = sv.d.relieve(s)
		}
		if err != nil {
			return nil, fmt.Errorf("survey %s: %w", t.Name, because(ctx, err))
		}
	}
	return c.facts(), nil
}

// pager goes through a table by row number or by the primary key of a table without row numbers; words is empty where a table
// has neither to go by, and then it is read in one go.
type pager struct {
	words []string
	last  []value
}

func pageBy(t *schema.Table) pager {
	if id := rowNumber(t); id != "" {
		return pager{words: []string{id}}
	}
	if !t.Options.WithoutRow || t.Primary == nil {
		return pager{}
	}
	var p pager
	for _, n := range t.Primary.Names() {
		p.words = append(p.words, quote(n))
	}
	return p
}

// query writes the statement of the next page.
func (p *pager) query(t *schema.Table) string {
	names := make([]string, 0, len(t.Columns)+len(p.words))
	names = append(names, p.words...)
	for _, c := range t.Columns {
		names = append(names, quote(c.Name))
	}
	sql := "SELECT " + strings.Join(names, ", ") + " FROM " + quote(t.Name.Name)
	if len(p.words) == 0 {
		return sql
	}
	by := strings.Join(p.words, ", ")
	if p.last != nil {
		if len(p.words) == 1 {
			sql += " WHERE " + by + " > " + marks(1, 1)
		} else {
			sql += " WHERE (" + by + ") > " + marks(1, len(p.words))
		}
	}
	return sql + " ORDER BY " + by + " LIMIT 5000"
}

// census counts facts by column.
type census struct {
	t       *schema.Table
	columns []column
	key     []int
	nulls   []bool // a NULL here is a NULL in the primary key
	counts  []map[driver.FactKind]*driver.Fact
	buf     []byte
}

func newCensus(t *schema.Table) *census {
	c := &census{t: t, nulls: make([]bool, len(t.Columns)), counts: make([]map[driver.FactKind]*driver.Fact, len(t.Columns))}
	sh := schema.Shape{}
	for i, column := range t.Columns {
		// What is too fine is counted by Fractions, not as of the wrong class; Lenient tells zero dates from others.
		sh.Columns = append(sh.Columns, schema.ShapeColumn{Column: column, Cell: column.Type.Kind, Scale: -1, Digits: 9, Lenient: true})
		c.counts[i] = map[driver.FactKind]*driver.Fact{}
		if t.Primary == nil {
			continue
		}
		for _, p := range t.Primary.Columns {
			c.nulls[i] = c.nulls[i] || p.Column == column.Name
		}
	}
	if k := t.LiveKey(); k != nil {
		for _, n := range k.Names() {
			for i, column := range t.Columns {
				if column.Name == n {
					c.key = append(c.key, i)
				}
			}
		}
	}
	sh.Key = c.key
	c.columns = columnsOf(sh)
	return c
}

// page reads one page; more reports that there may be another.
func (c *census) page(d *database, s *session, p *pager) (more bool, err error) {
	if len(p.words) > 0 {
		d.wal.enter()
		defer d.wal.leave()
	}
	st, _, err := s.conn.Prepare(p.query(c.t))
	if err != nil {
		return false, err
	}
	defer st.Close()
	for i := range p.last {
		if err := p.last[i].bindRaw(st, i+1); err != nil {
			return false, err
		}
	}
	rows, first := 0, len(p.words)
	for ; st.Step(); rows++ {
		for i := range c.columns {
			var v value
			v.scan(st, first+i)
			c.look(st, first, i, &v)
			if len(v.b) > hugeValue {
				s.spent = true
			}
		}
		p.last = p.last[:0]
		for i := range p.words {
			var v value
			v.scan(st, i)
			v.b = bytes.Clone(v.b)
			p.last = append(p.last, v)
		}
	}
	return rows == batchRows && first > 0, st.Err()
}

// look counts what one value is.
func (c *census) look(st *sqlite3.Stmt, first, i int, v *value) {
	note := func(kind driver.FactKind) {
		f := c.counts[i][kind]
		if f == nil {
			f = &driver.Fact{Column: c.t.Columns[i].Name, What: kind, Sample: c.sample(st, first)}
			c.counts[i][kind] = f
		}
		f.Count++
	}
	if v.class == sqlite3.NULL {
		if c.nulls[i] && c.t.Columns[i].Null {
			note(driver.KeyIsNull)
		}
		return
	}
	out, why := c.columns[i].appendCell(c.buf[:0], v)
	c.buf = out
	switch why {
	case "":
		c.measure(i, v, out, note)
	case isNotUTF8:
		note(driver.BadText)
	case isZeroDate:
		note(driver.ZeroDate)
	case isTooFineSec:
		note(driver.Fractions)
	default:
		note(driver.WrongClass)
	}
}

// sample writes the key of the current row, its number where the table has no key.
func (c *census) sample(st *sqlite3.Stmt, first int) string {
	key := make([]int, len(c.key))
	for n, k := range c.key {
		key[n] = first + k
	}
	if len(key) == 0 && first > 0 {
		key = []int{0}
	}
	return keyForPeople(st, key)
}

// measure compares a cell with what the column's type declares, which SQLite does not.
func (c *census) measure(i int, v *value, cell []byte, note func(driver.FactKind)) {
	t := c.t.Columns[i].Type
	switch t.Kind {
	case row.Text, row.Bytes, row.JSON, row.Other:
		if f := c.longest(i, note); int64(len(cell)) > f.Value {
			f.Value = int64(len(cell))
		}
		if t.Kind != row.Bytes && bytes.IndexByte(cell, 0) >= 0 {
			note(driver.NulInText)
		}
		if t.Kind == row.Bytes && t.Length > 0 && int64(len(cell)) > t.Length ||
			t.Kind == row.Text && t.Length > 0 && int64(utf8.RuneCount(cell)) > t.Length {
			note(driver.TooLarge)
		}
		if t.Kind == row.JSON && !json.Valid(cell) {
			note(driver.NotJSON)
		}
	case row.Int:
		if bits := t.Precision; bits > 0 && bits < 64 && v.class == sqlite3.INTEGER && (v.i >= 1<<(bits-1) || v.i < -1<<(bits-1)) {
			note(driver.TooLarge)
		}
	case row.Decimal:
		measureDecimal(t, cell, note)
	case row.Float32, row.Float64:
		if v.class == sqlite3.FLOAT && math.IsInf(v.f, 0) {
			note(driver.NotANumber)
		}
	case row.Date, row.Timestamp, row.Instant, row.Time, row.Duration:
		measureTime(t, cell, note)
	}
}

// longest is the fact that holds a column's longest value; it counts rows with a value.
func (c *census) longest(i int, note func(driver.FactKind)) *driver.Fact {
	note(driver.Longest)
	return c.counts[i][driver.Longest]
}

func measureDecimal(t schema.Type, cell []byte, note func(driver.FactKind)) {
	if notFinite(cell) {
		note(driver.NotANumber)
		return
	}
	if t.Precision == 0 {
		return
	}
	whole, fraction, _ := bytes.Cut(bytes.TrimLeft(bytes.TrimLeft(cell, "-"), "0"), []byte("."))
	if len(whole) > t.Precision-t.Scale {
		note(driver.TooLarge)
	}
	if len(bytes.TrimRight(fraction, "0")) > t.Scale {
		note(driver.Fractions)
	}
}

func measureTime(t schema.Type, cell []byte, note func(driver.FactKind)) {
	if point := bytes.IndexByte(cell, '.'); point >= 0 && len(cell)-point-1 > t.Scale {
		note(driver.Fractions)
	}
	if t.Kind == row.Time || t.Kind == row.Duration {
		return
	}
	if year, err := strconv.Atoi(string(cell[:max(bytes.IndexByte(cell, '-'), 0)])); err == nil && year > 9999 {
		note(driver.AfterYear4)
	}
}

// facts lists what was counted, by column and kind.
func (c *census) facts() []driver.Fact {
	order := []driver.FactKind{
		driver.Longest, driver.KeyIsNull, driver.WrongClass, driver.BadText, driver.NulInText, driver.TooLarge, driver.Fractions,
		driver.NotJSON, driver.ZeroDate, driver.NotANumber, driver.AfterYear4,
	}
	var all []driver.Fact
	for i := range c.counts {
		for _, kind := range order {
			if f := c.counts[i][kind]; f != nil {
				all = append(all, *f)
			}
		}
	}
	return all
}
