package memory

import (
	"context"
	"io"
	"iter"
	"slices"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// keyColumns returns the places of the columns that rows are known by: the live key, else every column.
func (t *table) keyColumns() []int {
	if k := t.def.LiveKey(); k != nil {
		at, _ := t.placesOf(k.Names())
		return at
	}
	all := make([]int, len(t.def.Columns))
	for i := range all {
		all[i] = i
	}
	return all
}

func (t *table) types(columns []int) []schema.Type {
	types := make([]schema.Type, len(columns))
	for i, c := range columns {
		types[i] = t.def.Columns[c].Type
	}
	return types
}

// cut returns the named cells of a row.
func cut(run string, columns []int) [][]byte {
	cells, err := row.Key(run).Cells()
	if err != nil {
		panic(err)
	}
	picked := make([][]byte, len(columns))
	for i, c := range columns {
		picked[i] = cells[c]
	}
	return picked
}

func keyOf(run string, columns []int) row.Key { return row.MakeKey(cut(run, columns)...) }

func (t *table) sameKey(run string, key row.Key) bool {
	columns := t.keyColumns()
	cells, err := key.Cells()
	return err == nil && len(cells) == len(columns) && compare(t.types(columns), cut(run, columns), cells) == 0
}

// sorted returns the rows a session sees in the order of some columns.
func (t *table) sorted(e *session, columns []int) []string {
	var runs []string
	for _, it := range t.rows.items {
		if v := it.seen(e); v != nil {
			runs = append(runs, *v)
		}
	}
	types := t.types(columns)
	slices.SortStableFunc(runs, func(a, b string) int { return compare(types, cut(a, columns), cut(b, columns)) })
	return runs
}

// candidates returns the items that may have this key in these columns: those of an index, where there is one.
func (t *table) candidates(columns []int, key string) []*item {
	for _, x := range t.keys {
		if !slices.Equal(x.columns, columns) {
			continue
		}
		cells, err := row.Key(key).Cells()
		if err != nil || len(cells) != len(columns) {
			return nil
		}
		var v []byte
		for i := range cells {
			v = append(v, row.MakeKey(fold(x.kinds[i], cells[i]))...)
		}
		return x.find(string(v))
	}
	return t.rows.items
}

// withKeys returns the rows a session sees whose key is byte for byte one of the keys.
func (t *table) withKeys(e *session, columns []int, keys *row.Batch) []string {
	var runs []string
	for i := range keys.Len() {
		key := string(keys.Row(i))
		for _, it := range t.candidates(columns, key) {
			v := it.seen(e)
			if v == nil || t.loosely(keyOf(*v, columns), row.Key(key), columns) != 0 {
				continue
			}
			if string(keyOf(*v, columns)) == key || e != nil && e.Flaw == FoldedKeys {
				runs = append(runs, *v)
			}
		}
	}
	return runs
}

func (t *table) loosely(a, b row.Key, columns []int) int {
	x, _ := a.Cells()
	y, err := b.Cells()
	if err != nil || len(y) != len(columns) {
		return 1
	}
	return compare(t.types(columns), x, y)
}

// within returns the rows of a range that a session sees, in the order of the key.
func (t *table) within(e *session, s schema.Shape, r row.Range) ([]string, error) {
	columns, err := t.placesOf(s.Keys().Names())
	if err != nil {
		return nil, err
	}
	runs := t.sorted(e, columns)
	if r.Whole() {
		return runs, nil
	}
	types := t.types(columns)
	above := func(run string, bound row.Key) int {
		cells, _ := bound.Cells()
		return compare(types, cut(run, columns), cells)
	}
	for _, bound := range []row.Key{r.After, r.Upto} {
		if cells, err := bound.Cells(); err != nil || bound != nil && len(cells) != len(columns) {
			return nil, failf(driver.BadData, "a bound of %d cells for a key of %d", len(cells), len(columns))
		}
	}
	return slices.DeleteFunc(runs, func(run string) bool {
		low := r.After != nil && above(run, r.After) <= 0
		if e.Flaw == ClosedRanges {
			low = r.After != nil && above(run, r.After) < 0
		}
		return low || r.Upto != nil && above(run, r.Upto) > 0
	}), nil
}

type splitter struct{ *role }

func (r splitter) Split(ctx context.Context, t *schema.Table, s schema.Shape, rows int64) iter.Seq2[row.Range, error] {
	return func(yield func(row.Range, error) bool) {
		var ranges []row.Range
		err := r.do(ctx, call{op: "Splitter.Split", about: t.Name.Name}, func() (err error) {
			ranges, err = r.split(t, s, max(rows, 1))
			return err
		})
		if err != nil {
			yield(row.Range{}, err)
			return
		}
		for _, one := range ranges {
			if !yield(one, nil) {
				return
			}
		}
	}
}

func (r splitter) split(t *schema.Table, s schema.Shape, rows int64) ([]row.Range, error) {
	own, err := r.table(t.Name)
	if err != nil || len(s.Key) == 0 {
		return []row.Range{{Number: 1}}, err
	}
	columns, err := own.placesOf(s.Keys().Names())
	if err != nil {
		return nil, err
	}
	var ranges []row.Range
	var after row.Key
	all := own.sorted(nil, columns)
	for i := rows; i < int64(len(all)); i += rows {
		bound := keyOf(all[i-1], columns)
		if after != nil && own.loosely(after, bound, columns) == 0 {
			continue
		}
		ranges = append(ranges, row.Range{Number: len(ranges) + 1, After: after, Upto: bound})
		after = bound
	}
	return append(ranges, row.Range{Number: len(ranges) + 1, After: after}), nil
}

type reader struct{ *role }

func (r reader) Read(ctx context.Context, q driver.Query) (driver.Cursor, error) {
	var c *cursor
	err := r.do(ctx, call{op: "Reader.Read", about: about(q)}, func() error {
		e := r.open(r.role, "cursor")
		rows, places, err := r.query(e, q)
		if err != nil {
			e.end(err)
			return err
		}
		c = &cursor{e: e, about: about(q), rows: rows, places: places}
		return nil
	})
	if err != nil {
		if c != nil {
			_ = c.Close()
		}
		return nil, err
	}
	return c, nil
}

// query returns the rows of a query and which of their cells travel.
func (r *role) query(e *session, q driver.Query) (runs []string, places []int, err error) {
	t, err := r.table(q.Table.Name)
	if err != nil {
		return nil, nil, err
	}
	if places, err = t.placesOf(q.Shape.Names()); err != nil {
		return nil, nil, err
	}
	if q.Keys == nil {
		runs, err = t.within(e, q.Shape, q.Range)
		return runs, places, err
	}
	columns, err := t.placesOf(q.Shape.Keys().Names())
	if err != nil {
		return nil, nil, err
	}
	runs = t.withKeys(e, columns, q.Keys)
	if q.Order == driver.KeyOrder {
		types := t.types(columns)
		slices.SortStableFunc(runs, func(a, b string) int { return compare(types, cut(a, columns), cut(b, columns)) })
	}
	return runs, places, nil
}

// cursor hands out the rows of a snapshot.
type cursor struct {
	e      *session
	about  string
	rows   []string
	places []int
	spent  error
}

func (c *cursor) Fill(ctx context.Context, b *row.Batch) error {
	b.Reset()
	if c.spent != nil {
		return c.spent
	}
	err := c.e.do(ctx, call{op: "Cursor.Fill", about: c.about, session: c.e}, func() error {
		most := c.e.Most
		if most == 0 {
			most = 5000
		}
		for ; len(c.rows) > 0 && b.Len() < most && b.Size() < 1<<20; c.rows = c.rows[1:] {
			appendCells(b, cut(c.rows[0], c.places))
		}
		return nil
	})
	if err == nil && len(c.rows) == 0 {
		err = io.EOF
	}
	c.spent = err
	return err
}

func appendCells(b *row.Batch, cells [][]byte) {
	for _, cell := range cells {
		if cell == nil {
			b.AppendNull()
		} else {
			b.Append(cell)
		}
	}
}

func (c *cursor) Durable(ctx context.Context) error {
	return c.e.do(ctx, call{op: "Cursor.Durable", about: c.about, session: c.e}, func() error {
		if c.e.Flaw != RowsNotOnDisk {
			c.e.flush()
		}
		return nil
	})
}

func (c *cursor) Close() error {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	c.e.leave(failf(driver.Unclassified, "%s was closed", c.e.what))
	return nil
}

// about says in a word what a query reads.
func about(q driver.Query) string {
	switch {
	case q.Keys != nil:
		return q.Table.Name.Name + " by keys"
	case len(q.Shape.Columns) == len(q.Shape.Key):
		return q.Table.Name.Name + " keys"
	}
	return line(q.Table, q.Range.Number)
}
