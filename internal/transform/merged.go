package transform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/expr-lang/expr/vm"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// merging reads a table whose rows are the users' and the release's, in one shape. It is used by one goroutine.
//
// The release's rows are in memory. Wherever rows are read in the order of the table, those of keys that the release has are left
// out; one reading of them all, by their keys, stands for them where the table begins. So a key comes exactly once,
// whatever users do with its row meanwhile, and a load that is cut into ranges of other moments brings no key twice.
type merging struct {
	*merge
	source driver.Reader
	table  *schema.Table // at the source
	rows   *rows         // makes rows of the wide shape
	width  int           // how many cells of it were asked for; behind them stands what the expression uses beside
	key    []int         // the places of the key's cells
	theirs *shaped       // the release's rows in the wide shape
	inputs [2][]input    // of the expression
	values [2]map[string]any
	vm     vm.VM
	wide   *row.Batch // one row of the users' in the wide shape
	run    []byte
}

// merging makes what reads a table of the form in a shape.
func (v *view) merging(f *form, t *schema.Table, s schema.Shape) (*merging, error) {
	m := &merging{merge: f.merge, source: v.Reader, table: v.source(t), width: s.Width(), key: s.Key}
	wide := schema.Shape{Columns: slices.Clone(s.Columns), Key: s.Key}
	if f.merge.choice != nil && s.Width() > len(s.Key) {
		for from, names := range f.merge.choice.uses {
			m.values[from] = map[string]any{}
			for _, name := range names {
				at := slices.Index(wide.Names(), name)
				if at < 0 {
					at = wide.Width()
					wide.Columns = append(wide.Columns, naturally(f.view.Column(name)))
				}
				m.inputs[from] = append(m.inputs[from], input{name, at, wide.Columns[at].Cell})
			}
		}
	}
	var err error
	if m.theirs, err = f.known(wide); err != nil {
		return nil, err
	}
	if m.rows, err = v.reading(f, wide); err != nil {
		return nil, err
	}
	m.wide = row.NewBatch(wide.Width())
	return m, nil
}

// place is where the release's row of the key of a row is, false where it has none.
func (m *merging) place(in *row.Batch, i int) (int, bool) {
	m.run = in.AppendKey(m.run[:0], i, m.rows.read.Key)
	at, has := m.theirs.at[string(m.run)]
	return at, has
}

// none is the place of a row that the release has not.
const none = -1

// one appends what becomes of a row of the users', whose key the release has at a place or not at all, and reports whether
// something does: not where a rule leaves it out, and not where the release's row takes its place.
func (m *merging) one(ctx context.Context, in *row.Batch, i, place int, out *row.Batch) (bool, error) {
	m.wide.Reset()
	if place != none && m.never() {
		return false, nil
	}
	if err := m.rows.one(in, i, m.wide); err != nil || m.wide.Len() == 0 {
		return false, err
	}
	if place != none {
		if gives, err := m.gives(in, i, place); err != nil || gives == release {
			return false, err
		}
	}
	if err := m.alone(ctx, place); err != nil {
		return false, err
	}
	appendCells(out, m.wide, 0)
	return true, nil
}

// never reports that a row of the users' whose key the release has too never comes.
func (m *merging) never() bool { return m.choice == nil && m.wins == release }

// gives says whose row a key has of which both have one: the users' is in m.wide.
func (m *merging) gives(in *row.Batch, i, place int) (origin, error) {
	if m.choice == nil || m.width == len(m.key) { // of a key alone both are the same
		return m.wins, nil
	}
	for from, b := range [2]*row.Batch{users: m.wide, release: m.theirs.rows} {
		at := [2]int{users: 0, release: place}[from]
		for _, input := range m.inputs[from] {
			value, err := valueOf(b.Cell(at, input.at), input.kind)
			if err != nil {
				return users, m.rows.fail(in, i, input.name, fmt.Errorf("%w (%s)", err, m.merge.place))
			}
			m.values[from][input.name] = value
		}
	}
	gives, err := m.choice.run(&m.vm, m.values)
	if err != nil {
		return users, m.rows.fail(in, i, "", fmt.Errorf("merge, %s: %w", m.merge.place, err))
	}
	return gives, nil
}

// appendCells appends as many cells of a row as the batch is wide.
func appendCells(out, from *row.Batch, i int) {
	for c := range out.Width() {
		if cell := from.Cell(i, c); cell != nil {
			out.Append(cell)
		} else {
			out.AppendNull()
		}
	}
}

// alone is nil where no row of the release's has a unique value of the row in m.wide, whose key it has at a place. Else the
// target could not have both.
func (m *merging) alone(ctx context.Context, place int) error {
	for i := range m.theirs.uniques {
		u := &m.theirs.uniques[i]
		value, has := u.value(m.run[:0], m.wide, 0)
		m.run = value
		at, taken := u.at[string(value)]
		if !has || !taken || at == place {
			continue
		}
		comes, err := m.comes(ctx, at)
		if err != nil {
			return err
		}
		if comes {
			return &driver.CellError{
				Table: m.table.Name, Column: strings.Join(u.columns, ", "), Key: m.keyOf(m.wide, 0),
				Why: fmt.Sprintf("has a value that is unique by %s and that the release's row of key %s has too (%s); change one of the two", u.name, m.keyOf(m.theirs.rows, at), m.merge.place),
			}
		}
	}
	return nil
}

func (m *merging) keyOf(b *row.Batch, i int) string {
	parts := make([]string, len(m.key))
	for n, at := range m.key {
		parts[n] = string(b.Cell(i, at))
	}
	return strings.Join(parts, ", ")
}

// comes reports whether a key has the release's row, as the users' is now.
func (m *merging) comes(ctx context.Context, at int) (bool, error) {
	if m.never() {
		return true, nil
	}
	keys := row.NewBatch(len(m.key))
	if err := keys.AppendRow(m.theirs.rows.AppendKey(nil, at, m.key)); err != nil {
		return false, err
	}
	cursor, err := m.source.Read(ctx, driver.Query{Table: m.table, Shape: m.rows.read, Keys: keys})
	if err != nil {
		return false, err
	}
	defer cursor.Close()
	other := *m // whose row is another one
	other.wide = row.NewBatch(m.wide.Width())
	in := row.NewBatch(m.rows.read.Width())
	for {
		end := cursor.Fill(ctx, in)
		for i := range in.Len() {
			if err := m.rows.one(in, i, other.wide); err != nil {
				return false, err
			}
			if other.wide.Len() > 0 {
				gives, err := other.gives(in, i, at)
				return gives == release, err
			}
		}
		if errors.Is(end, io.EOF) {
			return true, nil
		}
		if end != nil {
			return false, end
		}
	}
}

// take turns what one Take read of the users' rows, and adds the release's of keys that have no other.
func (m *merging) take(ctx context.Context, are, keys, images *row.Batch) error {
	given := map[int]bool{}
	for i := range are.Len() {
		place, has := m.place(are, i)
		if !has {
			place = none
		}
		done, err := m.one(ctx, are, i, place, images)
		if err != nil {
			return err
		}
		if has && done {
			given[place] = true
		}
	}
	for i := range keys.Len() {
		if place, has := m.theirs.at[string(keys.Row(i))]; has && !given[place] {
			given[place] = true
			appendCells(images, m.theirs.rows, place)
		}
	}
	return nil
}

// look is one reading of the users' rows on the way through a query.
type look struct {
	query  driver.Query
	places []int // of the release's rows whose keys are asked for
}

// atOnce is how many of the release's keys are read at once.
const atOnce = 5000

// looks part a query into readings of the source.
func (m *merging) looks(q driver.Query) ([]look, error) {
	q.Table, q.Shape = m.table, m.rows.read
	if q.Keys != nil {
		one := look{query: q}
		for i := range q.Keys.Len() {
			if place, has := m.theirs.at[string(q.Keys.Row(i))]; has {
				one.places = append(one.places, place)
			}
		}
		return []look{one}, nil
	}
	var all []look
	if q.Range.After == nil {
		for first := 0; first < m.theirs.rows.Len(); first += atOnce {
			one := look{query: driver.Query{Table: q.Table, Shape: q.Shape, Keys: row.NewBatch(len(m.key))}}
			for place := first; place < min(first+atOnce, m.theirs.rows.Len()); place++ {
				one.places = append(one.places, place)
				if err := one.query.Keys.AppendRow(m.theirs.rows.AppendKey(nil, place, m.key)); err != nil {
					return nil, err
				}
			}
			all = append(all, one)
		}
	}
	return append(all, look{query: q}), nil
}

// read opens a cursor that hands out the merged rows of a query.
func (m *merging) read(ctx context.Context, q driver.Query) (driver.Cursor, error) {
	looks, err := m.looks(q)
	if err != nil {
		return nil, err
	}
	c := &mergedCursor{m: m, in: row.NewBatch(m.rows.read.Width()), looks: looks}
	if err := c.next(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// mergedCursor reads one look after the other. The cursor that is open is that of the last one begun, so that what it calls
// durable is what the earlier ones have read too.
type mergedCursor struct {
	driver.Cursor
	m     *merging
	in    *row.Batch
	now   look
	looks []look       // to come
	ended bool         // the cursor that is open is read to its end
	given map[int]bool // places whose key has had its row
	rest  []int        // places whose row is the release's, to come
}

// next begins the next look.
func (c *mergedCursor) next(ctx context.Context) error {
	if c.Cursor != nil {
		if err := c.Cursor.Close(); err != nil {
			return err
		}
	}
	c.now, c.looks = c.looks[0], c.looks[1:]
	cursor, err := c.m.source.Read(ctx, c.now.query)
	if err != nil {
		return err
	}
	c.Cursor, c.ended, c.given = cursor, false, map[int]bool{}
	return nil
}

// Fill hands out the rows of all looks.
func (c *mergedCursor) Fill(ctx context.Context, b *row.Batch) error {
	b.Reset()
	for b.Len() == 0 {
		switch {
		case len(c.rest) > 0:
			c.give(b)
		case !c.ended:
			if err := c.fill(ctx, b); err != nil {
				return err
			}
		case len(c.looks) == 0:
			return io.EOF
		default:
			if err := c.next(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// give hands out the release's rows.
func (c *mergedCursor) give(b *row.Batch) {
	n := 0
	for ; n < len(c.rest) && b.Size() < 1<<20 && n < 5000; n++ {
		appendCells(b, c.m.theirs.rows, c.rest[n])
	}
	c.rest = c.rest[n:]
}

// fill hands out what one batch of the users' rows becomes.
func (c *mergedCursor) fill(ctx context.Context, b *row.Batch) error {
	end := c.Cursor.Fill(ctx, c.in)
	for i := range c.in.Len() {
		place, has := c.m.place(c.in, i)
		switch {
		case has && c.now.query.Keys == nil: // comes where the table begins
			continue
		case has && c.given[place]:
			continue
		case !has:
			place = none
		}
		done, err := c.m.one(ctx, c.in, i, place, b)
		if err != nil {
			return err
		}
		if has && done {
			c.given[place] = true
		}
	}
	if err := c.m.rows.tell(ctx); err != nil {
		return err
	}
	if !errors.Is(end, io.EOF) {
		return end
	}
	c.ended = true
	for _, place := range c.now.places {
		if !c.given[place] {
			c.given[place] = true
			c.rest = append(c.rest, place)
		}
	}
	return nil
}
