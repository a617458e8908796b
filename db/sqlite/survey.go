package sqlite

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// surveyor looks at the values of a table once, a page at a time in read transactions of their own. SQLite stores what it
// is given, so that this census is the only way to know whether a column holds what its type says. WrongClass stands for
// every value that has no cell, dates that are not of their form included. Columns of which only lengths are asked are not
// read, but for how long their values are, and not even for that where the whole file is no longer.
type surveyor struct{ d *database }

// Survey returns what was found, column by column.
func (sv surveyor) Survey(ctx context.Context, t *schema.Table, q driver.Questions) ([]driver.Fact, error) {
	s, err := sv.d.take(ctx, sv.d.work)
	if err != nil {
		return nil, fmt.Errorf("survey %s: %w", t.Name, err)
	}
	defer sv.d.give(s)
	var size int64
	const sizes = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
	if err := s.one(sizes, func(st *sqlite3.Stmt) { size = st.ColumnInt64(0) }); err != nil {
		return nil, fmt.Errorf("survey %s: %w", t.Name, because(ctx, err))
	}
	c := newCensus(t, q, size)
	p := pageBy(t)
	for more := c.wanted; more; {
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
func (p *pager) query(t *schema.Table, wanted []asked) string {
	names := slices.Clone(p.words)
	for _, a := range wanted {
		names = append(names, a.word)
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
	asked   []asked // by the table's columns
	wanted  bool    // whether any is looked at
	columns []column
	key     []int
	nulls   []bool // a NULL here is a NULL in the primary key
	counts  []map[driver.FactKind]*driver.Fact
	buf     []byte
}

// asked is how a column is looked at.
type asked struct {
	word  string // what is selected
	whole bool   // its values are: else, at most, their lengths
	above int64  // the length in bytes above which a value is of interest
}

// newCensus chooses what to look at. No value is longer than the file's size.
func newCensus(t *schema.Table, q driver.Questions, size int64) *census {
	c := &census{
		t: t, nulls: make([]bool, len(t.Columns)), asked: make([]asked, len(t.Columns)),
		counts: make([]map[driver.FactKind]*driver.Fact, len(t.Columns)),
	}
	sh := schema.Shape{}
	for i, column := range t.Columns {
		c.ask(i, q, size)
		// What is too fine is counted by Fractions, not as of the wrong class; Lenient tells zero dates from others.
		sh.Columns = append(sh.Columns, schema.ShapeColumn{Column: column, Cell: column.Type.Kind, Scale: -1, Digits: 9, Lenient: true})
		c.counts[i] = map[driver.FactKind]*driver.Fact{}
		c.nulls[i] = column.Null && t.Primary != nil && slices.Contains(t.Primary.Names(), column.Name)
	}
	if k := t.LiveKey(); k != nil {
		for _, n := range k.Names() {
			at := slices.IndexFunc(t.Columns, func(column *schema.Column) bool { return column.Name == n })
			c.key = append(c.key, at)
			c.asked[at].word, c.asked[at].whole = quote(n), true // for the sample
		}
	}
	sh.Key = c.key
	c.columns = columnsOf(sh)
	return c
}

// ask chooses how to look at one column.
func (c *census) ask(i int, q driver.Questions, size int64) {
	column := c.t.Columns[i]
	above, long := q.Above(column.Name)
	long = long && above < size && lengthy(column.Type.Kind)
	if !long {
		above = math.MaxInt64
	}
	whole := slices.ContainsFunc(q[column.Name], func(one driver.Question) bool { return one.What != driver.Longest })
	c.wanted = c.wanted || whole || long
	word := "NULL"
	switch {
	case whole:
		word = quote(column.Name)
	case long:
		word = "octet_length(" + quote(column.Name) + ")"
	}
	c.asked[i] = asked{word, whole, above}
}

// lengthy reports whether the values of a kind can be of any length.
func lengthy(k row.Kind) bool {
	return k == row.Text || k == row.Bytes || k == row.JSON || k == row.Other
}

// page reads one page; more reports that there may be another.
func (c *census) page(d *database, s *session, p *pager) (more bool, err error) {
	if len(p.words) > 0 {
		d.wal.enter()
		defer d.wal.leave()
	}
	st, _, err := s.conn.Prepare(p.query(c.t, c.asked))
	if err != nil {
		return false, err
	}
	defer st.Close()
	for i := range p.last {
		if err := p.last[i].bindRaw(st, i+1); err != nil {
			return false, err
		}
	}
	rows := 0
	for ; st.Step(); rows++ {
		c.row(st, len(p.words), s)
		p.last = p.last[:0]
		for i := range p.words {
			var v value
			v.scan(st, i)
			v.b = bytes.Clone(v.b)
			p.last = append(p.last, v)
		}
	}
	return rows == batchRows && len(p.words) > 0, st.Err()
}

// row looks at one row, whose values begin at a column of the statement.
func (c *census) row(st *sqlite3.Stmt, first int, s *session) {
	for i := range c.columns {
		a := &c.asked[i]
		switch {
		case a.whole:
			var v value
			v.scan(st, first+i)
			if !c.calm(i, &v) {
				c.look(st, first, i, &v)
			}
			if len(v.b) > hugeValue {
				s.spent = true
			}
		case a.above < math.MaxInt64:
			if n := st.ColumnInt64(first + i); n > a.above {
				c.lengthen(i, n, c.noting(st, first, i))
			}
		}
	}
}

// noting returns what counts a fact about a column, with the row's key the first time.
func (c *census) noting(st *sqlite3.Stmt, first, i int) func(driver.FactKind) {
	return func(kind driver.FactKind) {
		f := c.counts[i][kind]
		if f == nil {
			f = &driver.Fact{Column: c.t.Columns[i].Name, What: kind, Sample: c.sample(st, first)}
			c.counts[i][kind] = f
		}
		f.Count++
	}
}

// calm reports that a value is for certain of its column's type and as short as nobody asks about; it knows the common ones.
func (c *census) calm(i int, v *value) bool {
	t := c.t.Columns[i].Type
	switch v.class {
	case sqlite3.NULL:
		return !c.nulls[i]
	case sqlite3.INTEGER:
		switch bits := t.Precision; t.Kind {
		case row.Int:
			return bits <= 0 || bits >= 64 || v.i < 1<<(bits-1) && v.i >= -1<<(bits-1)
		case row.Decimal:
			whole := t.Precision - t.Scale
			return t.Precision == 0 || whole >= 0 && whole < len(powers) && math.Abs(float64(v.i)) < powers[whole]
		}
	case sqlite3.FLOAT:
		if t.Kind == row.Decimal && t.Precision > 0 && t.Precision < len(powers) && t.Scale >= 0 && t.Scale <= t.Precision {
			units, exact := inUnits(v.f, t.Scale)
			return exact && math.Abs(units) < powers[t.Precision]
		}
	case sqlite3.TEXT:
		if t.Kind == row.Date {
			return plainDate(v.b)
		}
		n := int64(len(v.b))
		return t.Kind == row.Text && n <= c.asked[i].above && (t.Length == 0 || n <= t.Length) && bytes.IndexByte(v.b, 0) < 0 && utf8.Valid(v.b)
	case sqlite3.BLOB:
		n := int64(len(v.b))
		return t.Kind == row.Bytes && n <= c.asked[i].above && (t.Length == 0 || n <= t.Length)
	}
	return false
}

// plainDate reports four digits, two and two with hyphens between them that are a date of every year from 1 on.
func plainDate(b []byte) bool {
	if len(b) != len("2006-01-02") || b[4] != '-' || b[7] != '-' {
		return false
	}
	var n [len("2006-01-02")]int
	for i, d := range b {
		if n[i] = int(d) - '0'; i != 4 && i != 7 && (n[i] < 0 || n[i] > 9) {
			return false
		}
	}
	year, month, day := n[0]|n[1]|n[2]|n[3], 10*n[5]+n[6], 10*n[8]+n[9]
	return year != 0 && month >= 1 && month <= 12 && day >= 1 && day <= 28
}

// look counts what one value is.
func (c *census) look(st *sqlite3.Stmt, first, i int, v *value) {
	note := c.noting(st, first, i)
	if v.class == sqlite3.NULL {
		note(driver.KeyIsNull)
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
		c.lengthen(i, int64(len(cell)), note)
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

// lengthen notes a value that is of interest for its length.
func (c *census) lengthen(i int, length int64, note func(driver.FactKind)) {
	if length > c.asked[i].above {
		note(driver.Longest)
		f := c.counts[i][driver.Longest]
		f.Value = max(f.Value, length)
	}
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
