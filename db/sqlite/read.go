package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// A batch ends at either of these.
const (
	batchRows  = 5_000
	batchBytes = 1 << 20
)

// hugeValue is the size of a value after which a session is not used again: its memory does not shrink.
const hugeValue = 4 << 20

type reader struct{ d *database }

// Read opens a cursor. A table with a key is read a batch at a time, each batch in a read transaction of its own that
// begins above the last key: so no transaction of ours outlives a Fill, and the application's log can be emptied between.
// A row that keeps its key is met once, as it was at some moment of the reading; a row that changes its key meanwhile may be
// met under both or neither, which is what capture is for. A table without a key is read in one transaction.
func (r reader) Read(ctx context.Context, q driver.Query) (driver.Cursor, error) {
	c := &cursor{d: r.d, q: q, columns: columnsOf(q.Shape), last: q.Range.After}
	c.paged = len(q.Shape.Key) > 0 && q.Keys == nil && oneDirection(q.Table, q.Shape)
	if len(q.Shape.Key) == 0 && !q.Range.Whole() {
		return nil, fmt.Errorf("read %s: a range of a table without a key", q.Table.Name)
	}
	var err error
	if c.s, err = r.d.take(ctx, r.d.work); err != nil {
		return nil, fmt.Errorf("read %s: %w", q.Table.Name, err)
	}
	c.s.rest()
	return c, nil
}

// oneDirection reports that the key's index can be walked in the order of its columns.
func oneDirection(t *schema.Table, s schema.Shape) bool {
	names := s.Keys().Names()
	for _, k := range append([]*schema.Key{t.Primary}, t.Uniques...) {
		if k == nil || strings.Join(k.Names(), "\x00") != strings.Join(names, "\x00") {
			continue
		}
		mixed := false
		for _, p := range k.Columns {
			mixed = mixed || p.Descending != k.Columns[0].Descending
		}
		return !mixed
	}
	return true
}

type cursor struct {
	d       *database
	s       *session
	q       driver.Query
	columns []column
	paged   bool
	st      *sqlite3.Stmt
	bounded bool    // st has a lower bound
	last    row.Key // the last key handed out, or the range's lower bound
	order   []int   // the places of q.Keys in the order to read them
	next    int     // the next of order
	over    bool
}

// Fill appends the next rows.
func (c *cursor) Fill(ctx context.Context, b *row.Batch) error {
	b.Reset()
	if c.over || c.s == nil {
		return io.EOF
	}
	if err := c.s.wake(ctx); err != nil {
		c.over = true
		return fmt.Errorf("read %s: %w", c.q.Table.Name, err)
	}
	defer c.s.rest()
	var err error
	switch {
	case c.q.Keys != nil:
		err = c.d.snapshot(ctx, c.s, func(*session) error { return c.fillKeys(b) })
	case c.paged:
		err = c.fillPage(b)
	default:
		err = c.fillOpen(b)
	}
	if err == nil && c.paged {
		err = c.d.relieve(c.s)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		b.Abandon()
		err = fmt.Errorf("read %s: %w", c.q.Table.Name, because(ctx, err))
	}
	c.over = err != nil
	return err
}

// fillPage reads one batch above the last key in a transaction of its own, which is the statement itself.
func (c *cursor) fillPage(b *row.Batch) error {
	if err := c.prepare(" LIMIT 5000"); err != nil {
		return err
	}
	c.d.wal.enter()
	err := c.rows(b)
	if reset := c.st.Reset(); err == nil {
		err = reset
	}
	c.d.wal.leave()
	if n := b.Len(); n > 0 {
		c.last = b.AppendKey(nil, n-1, c.q.Shape.Key)
	}
	if errors.Is(err, io.EOF) && b.Len() == batchRows {
		return nil // the page ended, not the table
	}
	return err
}

// fillOpen goes on with a statement that stays open.
func (c *cursor) fillOpen(b *row.Batch) error {
	if c.st == nil {
		if err := c.prepare(""); err != nil {
			return err
		}
	}
	return c.rows(b)
}

// rows steps until the batch is full; io.EOF when the statement ends.
func (c *cursor) rows(b *row.Batch) error {
	for b.Len() < batchRows && b.Size() < batchBytes {
		if !c.st.Step() {
			if err := c.st.Err(); err != nil {
				return err
			}
			return io.EOF
		}
		if err := c.s.appendRow(b, c.st, c.q.Table, c.columns, c.q.Shape.Key); err != nil {
			return err
		}
	}
	return nil
}

// prepare makes the statement of a range and binds its bounds.
func (c *cursor) prepare(limit string) error {
	keys := keyColumns(c.columns, c.q.Shape.Key)
	if c.st == nil || c.bounded != (c.last != nil) {
		_ = c.st.Close()
		c.bounded = c.last != nil
		var where []string
		if c.bounded {
			where = append(where, rowValue(keys)+" > "+marks(1, len(keys)))
		}
		if c.q.Range.Upto != nil {
			where = append(where, rowValue(keys)+" <= "+marks(len(keys)+1, len(keys)))
		}
		sql := selectFrom(c.q.Table, c.columns)
		if len(where) > 0 {
			sql += " WHERE " + strings.Join(where, " AND ")
		}
		if c.paged || c.q.Order == driver.KeyOrder && len(keys) > 0 {
			sql += " ORDER BY " + nameList(keys)
		}
		var err error
		if c.st, _, err = c.s.conn.Prepare(sql + limit); err != nil {
			return err
		}
	}
	if err := bindKey(c.st, 1, keys, c.last); err != nil {
		return err
	}
	return bindKey(c.st, len(keys)+1, keys, c.q.Range.Upto)
}

// fillKeys reads the rows of the next keys one by one, in one snapshot.
func (c *cursor) fillKeys(b *row.Batch) error {
	if c.st == nil {
		var err error
		if c.st, err = c.s.prepareByKey(c.q.Table, c.columns, c.q.Shape.Key); err != nil {
			return err
		}
	}
	keys := keyColumns(c.columns, c.q.Shape.Key)
	if c.order == nil {
		if err := c.sortKeys(keys); err != nil {
			return err
		}
	}
	for ; c.next < len(c.order); c.next++ {
		if b.Len() >= batchRows || b.Size() >= batchBytes {
			return nil
		}
		at := c.order[c.next]
		for i := range keys {
			if err := keys[i].bind(c.st, i+1, c.q.Keys.Cell(at, i)); err != nil {
				return err
			}
		}
		if err := c.s.appendFound(b, c.st, c.q.Table, c.columns, c.q.Shape.Key, c.q.Keys.Row(at)); err != nil {
			return err
		}
	}
	return io.EOF
}

// sortKeys fills the order to read keys in: as they come, or sorted by SQLite in a temporary table of the key's types.
func (c *cursor) sortKeys(keys []column) error {
	c.order = make([]int, 0, c.q.Keys.Len())
	if c.q.Order != driver.KeyOrder {
		for i := range c.q.Keys.Len() {
			c.order = append(c.order, i)
		}
		return nil
	}
	var fields, by []string
	for i, k := range keys {
		column := *c.q.Table.Column(k.name)
		column.Name, column.Null, column.Default, column.Generated = "k"+itoa(i), true, nil, nil
		fields, by = append(fields, columnWords(&column, false)), append(by, column.Name)
	}
	const drop = "DROP TABLE IF EXISTS temp.whimbrel_order"
	if err := c.s.conn.Exec(drop + "; CREATE TEMP TABLE whimbrel_order (place INTEGER, " + strings.Join(fields, ", ") + ")"); err != nil {
		return err
	}
	st, _, err := c.s.conn.Prepare("INSERT INTO temp.whimbrel_order VALUES (?1, " + strings.Trim(marks(2, len(keys)), "()") + ")")
	if err != nil {
		return err
	}
	defer st.Close()
	for at := range c.q.Keys.Len() {
		for i := range keys {
			if err := keys[i].bind(st, i+2, c.q.Keys.Cell(at, i)); err != nil {
				return err
			}
		}
		if err := run(st, number(int64(at))); err != nil {
			return err
		}
	}
	err = c.s.each("SELECT place FROM temp.whimbrel_order ORDER BY "+strings.Join(by, ", "), func(row *sqlite3.Stmt) error {
		c.order = append(c.order, row.ColumnInt(0))
		return nil
	})
	if err == nil {
		err = c.s.conn.Exec(drop)
	}
	return err
}

// Durable returns when everything handed out would survive a crash.
func (c *cursor) Durable(context.Context) error { return c.d.settle() }

// Close ends the query.
func (c *cursor) Close() error {
	if c.s != nil && c.s.wake(context.Background()) == nil {
		c.d.give(c.s)
	}
	c.s = nil
	return nil
}

// prepareByKey makes a statement for the rows of one key. Where the key's collation takes different bytes as equal, the
// bytes are compared as well (HAZARDS C10); the first comparison is the one that the index serves.
func (s *session) prepareByKey(t *schema.Table, columns []column, key []int) (*sqlite3.Stmt, error) {
	st, _, err := s.conn.Prepare(selectFrom(t, columns) + " WHERE " + keyEquals(t, keyColumns(columns, key)))
	return st, err
}

func keyEquals(t *schema.Table, keys []column) string {
	var where []string
	for i, k := range keys {
		mark := "?" + itoa(i+1)
		where = append(where, quote(k.name)+" = "+mark)
		if c := t.Column(k.name); c == nil || !c.Type.Binary {
			where = append(where, quote(k.name)+" = "+mark+" COLLATE BINARY")
		}
	}
	return strings.Join(where, " AND ")
}

// appendFound runs a statement of prepareByKey and appends the rows whose key is byte for byte the one asked for.
func (s *session) appendFound(b *row.Batch, st *sqlite3.Stmt, t *schema.Table, columns []column, key []int, run []byte) error {
	for st.Step() {
		if err := s.appendRow(b, st, t, columns, key); err != nil {
			_ = st.Reset()
			return err
		}
		s.buf = b.AppendKey(s.buf[:0], b.Len()-1, key)
		if string(s.buf) != string(run) {
			b.Truncate(b.Len() - 1)
		}
	}
	return st.Reset()
}

// appendRow appends the current row of a statement.
func (s *session) appendRow(b *row.Batch, st *sqlite3.Stmt, t *schema.Table, columns []column, key []int) error {
	var v value
	for i := range columns {
		c := &columns[i]
		v.scan(st, i)
		if v.class == sqlite3.NULL {
			b.AppendNull()
			continue
		}
		if len(v.b) > hugeValue {
			s.spent = true
		}
		if c.lenient {
			out, why := c.appendCell(s.buf[:0], &v)
			if s.buf = out; why != "" {
				b.AppendNull()
			} else {
				b.Append(out)
			}
			continue
		}
		out, why := c.appendCell(b.Begin(), &v)
		if why != "" {
			b.Abandon()
			return &driver.CellError{Table: t.Name, Column: c.name, Key: keyForPeople(st, key), Why: why}
		}
		b.End(out)
	}
	return st.Err()
}

// keyForPeople writes the key of the current row as SQL literals.
func keyForPeople(st *sqlite3.Stmt, key []int) string {
	var text []byte
	var v value
	for n, i := range key {
		if n > 0 {
			text = append(text, ", "...)
		}
		if v.scan(st, i); v.class == sqlite3.NULL {
			text = append(text, "NULL"...)
			continue
		}
		out, why := appendLiteral(text, &v)
		if text = out; why != "" {
			text = append(text, '?')
		}
	}
	return string(text)
}

func keyColumns(columns []column, key []int) []column {
	keys := make([]column, len(key))
	for i, k := range key {
		keys[i] = columns[k]
	}
	return keys
}

func nameList(columns []column) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	return quoteAll(names)
}

func selectFrom(t *schema.Table, columns []column) string {
	return "SELECT " + nameList(columns) + " FROM " + quote(t.Name.Name)
}

// rowValue writes (a, b), or just a where there is one.
func rowValue(columns []column) string {
	if len(columns) == 1 {
		return nameList(columns)
	}
	return "(" + nameList(columns) + ")"
}

// marks writes (?3, ?4), or just ?3, for n parameters from first.
func marks(first, n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = "?" + itoa(first+i)
	}
	if n == 1 {
		return all[0]
	}
	return "(" + strings.Join(all, ", ") + ")"
}

// bindKey binds the cells of a bound from parameter first on; a nil bound binds nothing.
func bindKey(st *sqlite3.Stmt, first int, keys []column, bound row.Key) error {
	if bound == nil {
		return nil
	}
	cells, err := bound.Cells()
	if err != nil {
		return err
	}
	if len(cells) != len(keys) {
		return fmt.Errorf("a bound of %d cells for a key of %d", len(cells), len(keys))
	}
	for i := range keys {
		if err := keys[i].bind(st, first+i, cells[i]); err != nil {
			return err
		}
	}
	return nil
}
