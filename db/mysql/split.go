package mysql

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// Split cuts by halving. The optimizer estimates a stretch's rows by two dives into the key's index; a stretch with too
// many is halved in the space of its key's values, at the first key that is there above the middle. Only that step looks
// at rows, one at a time. Where the space and the keys do not agree (a skewed column, a collation), the half that holds
// almost nothing is put aside and the other halved again, so that the search closes in on the rows whatever their
// values are; a column that can be halved no more is followed by the next column of the key.
func (d *database) Split(ctx context.Context, t *schema.Table, s schema.Shape, rows int64) iter.Seq2[row.Range, error] {
	return func(yield func(row.Range, error) bool) {
		l, err := d.control.take(ctx)
		if err != nil {
			yield(row.Range{}, err)
			return
		}
		defer l.back()
		p := &splitter{d: d, s: l.session, ctx: ctx, table: t, key: keyColumns(s), shape: s.Keys(), rows: max(rows, 1)}
		if err := p.split(yield); err != nil {
			yield(row.Range{}, fmt.Errorf("split %s: %w", t.Name, err))
		}
	}
}

type splitter struct {
	d     *database
	s     *session
	ctx   context.Context
	table *schema.Table
	key   []keyColumn
	shape schema.Shape
	rows  int64
}

// stretch is a piece of the key's order, above after and up to upto; nil is open.
type stretch struct {
	after, upto row.Key
	rows        int64
	idle        int // how many times in a row it was cut without becoming smaller, for all that the optimizer knows
}

// from notes what a stretch was cut from.
func (s stretch) from(whole stretch) stretch {
	if s.rows >= whole.rows {
		s.idle = whole.idle + 1
	}
	return s
}

func (p *splitter) split(yield func(row.Range, error) bool) error {
	if len(p.key) == 0 || indexOf(p.table, p.key) == "" {
		yield(row.Range{Number: 1}, nil)
		return nil
	}
	first, err := p.end("")
	if err != nil {
		return err
	}
	last, err := p.end(" DESC")
	if err != nil {
		return err
	}
	number := 0
	var after row.Key
	cut := func(upto row.Key) bool {
		number++
		r := row.Range{Number: number, After: after, Upto: upto}
		after = upto
		return yield(r, nil)
	}
	if first == nil || last == nil {
		cut(nil)
		return nil
	}
	rows, err := p.estimate(nil, nil)
	if err != nil {
		return err
	}
	todo := []stretch{{after: nil, upto: nil, rows: rows}}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		left, right, ok, err := p.halve(at, first, last)
		if err != nil {
			return err
		}
		if ok {
			todo = append(todo, right.from(at), left.from(at))
			continue
		}
		if !cut(at.upto) {
			return nil
		}
	}
	return nil
}

// halve cuts a stretch in two, or says that it is small enough or can not be cut.
func (p *splitter) halve(at stretch, first, last row.Key) (left, right stretch, ok bool, err error) {
	if at.rows <= p.rows+p.rows/2 || at.idle > 3 {
		return left, right, false, nil
	}
	low, high := at.after, at.upto
	if low == nil {
		low = first
	}
	if high == nil {
		high = last
	}
	lows, err := low.Cells()
	if err != nil {
		return left, right, false, err
	}
	highs, err := high.Cells()
	if err != nil {
		return left, right, false, err
	}
	prefix := 0
	for prefix < len(p.key) && string(lows[prefix]) == string(highs[prefix]) {
		prefix++
	}
	if prefix == len(p.key) {
		return left, right, false, nil
	}
	return p.search(at, lows[:prefix:prefix], lows[prefix], highs[prefix])
}

// search looks for a cut within the keys that begin with prefix, between two values of the next column. When the values
// can be halved no more, the rows have one value there, low or high, and the column after it is searched.
func (p *splitter) search(at stretch, prefix [][]byte, low, high []byte) (left, right stretch, ok bool, err error) {
	column := p.key[len(prefix)]
	space := spaceOf(column.typ)
	floor, ceiling := low, high
	for range 200 {
		middle, moved := space.middle(floor, ceiling)
		if !moved {
			break
		}
		cut, err := p.above(at, append(prefix[:len(prefix):len(prefix)], middle))
		if err != nil {
			return left, right, false, err
		}
		if cut == nil {
			ceiling = middle
			continue
		}
		left, right = stretch{after: at.after, upto: cut}, stretch{after: cut, upto: at.upto}
		if left.rows, err = p.estimate(left.after, left.upto); err != nil {
			return left, right, false, err
		}
		if right.rows, err = p.estimate(right.after, right.upto); err != nil {
			return left, right, false, err
		}
		switch enough := p.rows / 4; {
		case left.rows <= enough && right.rows <= enough:
			return left, right, false, nil
		case left.rows <= enough:
			floor = middle
		case right.rows <= enough:
			ceiling = middle
		default:
			return left, right, true, nil
		}
	}
	if len(prefix)+1 == len(p.key) {
		return left, right, false, nil
	}
	return p.descend(at, prefix, [][]byte{ceiling, floor, low, high})
}

// descend searches the next column under each of the values that the rows may have in this one.
func (p *splitter) descend(at stretch, prefix [][]byte, values [][]byte) (left, right stretch, ok bool, err error) {
	tried := map[string]bool{}
	for _, v := range values {
		if tried[string(v)] {
			continue
		}
		tried[string(v)] = true
		deeper := append(prefix[:len(prefix):len(prefix)], v)
		first, err := p.edge(at, deeper, "")
		if err != nil {
			return left, right, false, err
		}
		last, err := p.edge(at, deeper, " DESC")
		if err != nil || first == nil || last == nil {
			if err != nil {
				return left, right, false, err
			}
			continue
		}
		left, right, ok, err = p.search(at, deeper, first, last)
		if ok || err != nil {
			return left, right, ok, err
		}
	}
	return left, right, false, nil
}

// edge returns the smallest or largest value of the column after prefix, within the stretch.
func (p *splitter) edge(at stretch, prefix [][]byte, way string) ([]byte, error) {
	where := make([]string, len(prefix))
	for i, v := range prefix {
		where[i] = "t." + quote(p.key[i].name) + " = " + string(appendOwn(nil, p.key[i].typ, v))
	}
	bounds, err := within(p.key, row.Range{After: at.after, Upto: at.upto})
	if err != nil {
		return nil, err
	}
	if bounds != "" {
		where = append(where, bounds)
	}
	k, err := p.one(strings.Join(where, " AND "), way)
	if k == nil || err != nil {
		return nil, err
	}
	cells, err := k.Cells()
	if err != nil {
		return nil, err
	}
	return cells[len(prefix)], nil
}

func (p *splitter) end(way string) (row.Key, error) { return p.one("", way) }

// above returns the first key whose first columns are above the values and that leaves something of the stretch on both
// sides; nil when there is none.
func (p *splitter) above(at stretch, values [][]byte) (row.Key, error) {
	where := beyond(p.key[:len(values)], values, ">")
	if at.after != nil {
		bounds, err := within(p.key, row.Range{After: at.after})
		if err != nil {
			return nil, err
		}
		where += " AND " + bounds
	}
	if at.upto != nil {
		cells, err := at.upto.Cells()
		if err != nil {
			return nil, err
		}
		where += " AND " + beyond(p.key, cells, "<")
	}
	return p.one(where, "")
}

// one returns the first key in order under a condition; nil when there is none.
func (p *splitter) one(where, way string) (row.Key, error) {
	sql := "SELECT %s" + p.d.along(p.table, p.key)
	if where != "" {
		sql += " WHERE " + where
	}
	keys := row.NewBatch(len(p.key))
	sql += order(p.key, way) + " LIMIT 1"
	if err := p.d.collect(p.ctx, p.s, p.table, p.shape, sql, keys); err != nil || keys.Len() == 0 {
		return nil, err
	}
	return row.Key(keys.AppendKey(nil, 0, p.shape.Key)), nil
}

// estimate asks the optimizer how many rows a stretch has.
func (p *splitter) estimate(after, upto row.Key) (int64, error) {
	where, err := within(p.key, row.Range{After: after, Upto: upto})
	if err != nil {
		return 0, err
	}
	sql := "EXPLAIN SELECT 1" + p.d.along(p.table, p.key)
	if where != "" {
		sql += " WHERE " + where
	}
	if !p.d.version.maria() {
		sql = strings.Replace(sql, "EXPLAIN", "EXPLAIN FORMAT=TRADITIONAL", 1)
	}
	names, lines, err := p.s.table(p.ctx, sql)
	if err != nil {
		return 0, err
	}
	for i, n := range names {
		if n == "rows" && len(lines) == 1 {
			rows, _ := strconv.ParseInt(lines[0][i], 10, 64)
			return rows, nil
		}
	}
	return 0, nil
}

var _ driver.Splitter = (*database)(nil)
