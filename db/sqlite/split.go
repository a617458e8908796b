package sqlite

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"strconv"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// Ranges are found by probing the key's index, never by scanning it. A stretch between two existing keys is halved at the
// key that follows the middle of its values (or the one before, where none follows), and how many rows it holds is judged
// from how densely the nearest keys lie at both its ends. A stretch whose ends look sparse may hide a crowd, so it is halved
// until the ends are representative or the stretch is so small that its keys were counted. Middles only decide how even
// the ranges become: order and bounds are always SQLite's own.

type splitter struct{ d *database }

const (
	nearKeys  = 64     // keys looked at beyond each end of a stretch
	mostProbe = 20_000 // halvings, after which the rest is taken as it is
)

func itoa(n int) string { return strconv.Itoa(n) }

// Split yields the ranges of a table.
func (sp splitter) Split(ctx context.Context, t *schema.Table, s schema.Shape, rows int64) iter.Seq2[row.Range, error] {
	return func(yield func(row.Range, error) bool) {
		if len(s.Key) == 0 || rows <= 0 {
			yield(row.Range{Number: 1}, nil)
			return
		}
		cuts, err := sp.cuts(ctx, t, s, rows)
		if err != nil {
			yield(row.Range{}, fmt.Errorf("split %s: %w", t.Name, because(ctx, err)))
			return
		}
		r := row.Range{Number: 1}
		for _, cut := range cuts {
			r.Upto = cut
			if !yield(r, nil) {
				return
			}
			r = row.Range{Number: r.Number + 1, After: cut}
		}
		yield(r, nil)
	}
}

func (sp splitter) cuts(ctx context.Context, t *schema.Table, s schema.Shape, rows int64) ([]row.Key, error) {
	session, err := sp.d.take(ctx, sp.d.control)
	if err != nil {
		return nil, err
	}
	defer sp.d.give(session)
	p := &prober{s: session, t: t, keys: keyColumns(columnsOf(s), s.Key), want: float64(rows), left: mostProbe}
	for _, k := range p.keys {
		c := t.Column(k.name)
		p.folded = append(p.folded, c != nil && strings.EqualFold(c.Type.Collation, "NOCASE"))
	}
	lo, err := p.find("", "ASC", nil)
	if err != nil || lo == nil {
		return nil, err
	}
	hi, err := p.find("", "DESC", nil)
	if err != nil || hi == nil {
		return nil, err
	}
	if err := p.part(stretch{lo[0], hi[0]}); err != nil {
		return nil, err
	}
	return p.cuts, nil
}

// probe is one key as it is stored.
type probe []value

// stretch is the keys above after up to upto, both of which were there.
type stretch struct{ after, upto probe }

type prober struct {
	s      *session
	t      *schema.Table
	keys   []column
	folded []bool // the column's collation takes capitals as small letters
	want   float64
	left   int
	held   float64 // rows since the last cut
	cuts   []row.Key
}

// part goes through a stretch from its beginning to its end and cuts where enough rows have come together.
func (p *prober) part(x stretch) error {
	count, sure, err := p.judge(x)
	if err != nil {
		return err
	}
	if count > p.want/4 && count > 1 || !sure {
		if m, err := p.middle(x); err != nil {
			return err
		} else if m != nil && p.left > 0 {
			p.left--
			if err := p.part(stretch{x.after, m}); err != nil {
				return err
			}
			return p.part(stretch{m, x.upto})
		}
	}
	if p.held += count; p.held >= p.want*7/8 {
		if cut := p.cell(x.upto); cut != nil {
			p.cuts, p.held = append(p.cuts, cut), 0
		}
	}
	return nil
}

// cell is a key as a bound, nil when it has no cell.
func (p *prober) cell(k probe) row.Key {
	cells := make([][]byte, len(k))
	for i := range k {
		out, why := p.keys[i].appendCell([]byte{}, &k[i])
		if why != "" {
			return nil
		}
		cells[i] = out
	}
	return row.MakeKey(cells...)
}

// judge says how many rows a stretch holds, and whether that can be relied on.
func (p *prober) judge(x stretch) (float64, bool, error) {
	within := rowValue(p.keys) + " > " + marks(1, len(p.keys)) + " AND " + rowValue(p.keys) + " <= " + marks(len(p.keys)+1, len(p.keys))
	first, err := p.find(within, "ASC", []probe{x.after, x.upto}, nearKeys)
	if err != nil {
		return 0, false, err
	}
	if len(first) < nearKeys {
		return float64(len(first)), true, nil
	}
	last, err := p.find(within, "DESC", []probe{x.after, x.upto}, nearKeys)
	if err != nil || len(last) == 0 {
		return 0, false, err
	}
	c := p.axis(x)
	whole := p.distance(c, x.after, x.upto, x)
	head := p.distance(c, x.after, first[len(first)-1], x)
	tail := p.distance(c, last[len(last)-1], x.upto, x)
	if head <= 0 || tail <= 0 || whole <= 0 {
		return math.Inf(1), false, nil // a crowd under one value of this column: look at the next column
	}
	count := nearKeys * whole / min(head, tail)
	return count, nearKeys*whole/max(head, tail) >= 4*nearKeys, nil
}

// middle returns a key inside a stretch, nil when there is none but its end. Each probe has one bound below and one above, so
// that the index is entered at the bound and not walked to it; whether what was found lies on the right side of the other
// end is asked of SQLite, for that one row.
func (p *prober) middle(x stretch) (probe, error) {
	c := p.axis(x)
	at := append(append(probe{}, x.after[:c]...), p.half(c, x))
	half, all := rowValue(p.keys[:c+1]), rowValue(p.keys)
	for _, side := range [...]struct {
		below, above, order string
		from, to            probe
	}{{half + " > ", all + " < ", "ASC", at, x.upto}, {half + " <= ", all + " > ", "DESC", at, x.after}} {
		where := side.below + marks(1, c+1) + " AND " + side.above + marks(c+2, len(p.keys))
		found, err := p.find(where, side.order, []probe{side.from, side.to})
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			continue
		}
		inside, err := p.inside(found[0], x)
		if err != nil || inside {
			return found[0], err
		}
	}
	return nil, nil
}

// inside reports whether a key lies strictly between the ends of a stretch, by the column's own order.
func (p *prober) inside(k probe, x stretch) (bool, error) {
	n := len(p.keys)
	found, err := p.find(rowValue(p.keys)+" = "+marks(1, n)+" AND "+rowValue(p.keys)+" > "+marks(n+1, n)+" AND "+
		rowValue(p.keys)+" < "+marks(2*n+1, n), "ASC", []probe{k, x.after, x.upto})
	return len(found) > 0, err
}

// axis is the first key column in which the ends of a stretch differ.
func (p *prober) axis(x stretch) int {
	for c := range p.keys {
		if !x.after[c].same(&x.upto[c]) {
			return c
		}
	}
	return len(p.keys) - 1
}

func (v *value) same(o *value) bool {
	return v.class == o.class && v.i == o.i && v.f == o.f && bytes.Equal(v.b, o.b)
}

// find returns up to most keys (1 unless told) that a condition holds for, in key order or against it.
func (p *prober) find(where, order string, bounds []probe, most ...int) ([]probe, error) {
	n := 1
	if len(most) > 0 {
		n = most[0]
	}
	sql := selectFrom(p.t, p.keys)
	if where != "" {
		sql += " WHERE " + where
	}
	by := make([]string, len(p.keys))
	for i, k := range p.keys {
		by[i] = quote(k.name) + " " + order
	}
	st, _, err := p.s.conn.Prepare(sql + " ORDER BY " + strings.Join(by, ", ") + " LIMIT " + itoa(n))
	if err != nil {
		return nil, err
	}
	defer st.Close()
	i := 0
	for _, b := range bounds {
		for j := range b {
			i++
			if err := b[j].bindRaw(st, i); err != nil {
				return nil, err
			}
		}
	}
	var found []probe
	for st.Step() {
		k := make(probe, len(p.keys))
		for i := range k {
			k[i].scan(st, i)
			k[i].b = bytes.Clone(k[i].b)
		}
		found = append(found, k)
	}
	return found, st.Err()
}

// distance is how far b's value in column c lies above a's, on a scale that only means something within one stretch.
func (p *prober) distance(c int, a, b probe, x stretch) float64 {
	return p.place(c, &b[c], x) - p.place(c, &a[c], x)
}

func (p *prober) place(c int, v *value, x stretch) float64 {
	switch v.class {
	case sqlite3.INTEGER:
		return float64(v.i)
	case sqlite3.FLOAT:
		return v.f
	case sqlite3.NULL:
		return math.Inf(-1)
	}
	_, n := p.window(c, v.b, p.shared(c, x))
	return float64(n)
}

// shared is how many bytes the texts at the ends of a stretch have in common.
func (p *prober) shared(c int, x stretch) int {
	a, b := p.fold(c, x.after[c].b), p.fold(c, x.upto[c].b)
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func (p *prober) fold(c int, b []byte) []byte {
	if !p.folded[c] {
		return b
	}
	b = bytes.Clone(b)
	for i, d := range b {
		if d >= 'A' && d <= 'Z' { // NOCASE knows these 26 only
			b[i] = d + 'a' - 'A'
		}
	}
	return b
}

// window is the eight bytes behind what is shared, as they are and as a number.
func (p *prober) window(c int, b []byte, shared int) ([8]byte, uint64) {
	var w [8]byte
	if b = p.fold(c, b); len(b) > shared {
		copy(w[:], b[shared:])
	}
	return w, binary.BigEndian.Uint64(w[:])
}

// half is a value in the middle between the ends of a stretch in column c; the lower end's own where there is no middle.
func (p *prober) half(c int, x stretch) value {
	a, b := x.after[c], x.upto[c]
	switch {
	case a.class != b.class:
		return a
	case a.class == sqlite3.INTEGER:
		return value{class: a.class, i: a.i + int64((uint64(b.i)-uint64(a.i))/2)}
	case a.class == sqlite3.FLOAT:
		return value{class: a.class, f: a.f/2 + b.f/2}
	}
	shared := p.shared(c, x)
	_, low := p.window(c, a.b, shared)
	_, high := p.window(c, b.b, shared)
	if high <= low+1 {
		return a
	}
	mid := binary.BigEndian.AppendUint64(bytes.Clone(p.fold(c, a.b)[:shared]), low+(high-low)/2)
	return value{class: a.class, b: mid}
}
