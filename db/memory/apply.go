package memory

import (
	"context"
	"strconv"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

type applier struct{ *role }

func (r applier) Apply(ctx context.Context, d driver.Delta) error {
	return r.do(ctx, call{op: "Applier.Apply", about: line(d.Table, d.Lane), commits: true, keep: func() { d = kept(d) }}, func() error {
		b, err := r.fence(d.Epoch)
		if err != nil {
			return err
		}
		lane := line(d.Table, d.Lane)
		switch last := number(b.lanes.value(lane)); {
		case d.Number <= last && r.Flaw != AppliedTwice && r.Flaw != NumberAtOnce:
			return failf(driver.Exists, "batch %d of %s, lane %d, was applied: the last is %d", d.Number, d.Table.Name, d.Lane, last)
		case d.Number > last+1:
			return failf(driver.Unclassified, "batch %d of %s, lane %d, comes after %d", d.Number, d.Table.Name, d.Lane, last)
		}
		return r.briefly("apply", func(e *session) error {
			if _, err := e.add(b.lanes, lane, strconv.FormatInt(d.Number, 10)); err != nil {
				return err
			}
			if _, err := e.add(b.lanes, by(lane), strconv.FormatInt(d.By, 10)); err != nil {
				return err
			}
			return r.apply(e, b, d)
		})
	})
}

// Stage keeps what a session of a server would keep: the keys and images as they are now.
func (r applier) Stage(ctx context.Context, d driver.Delta, _ bool) (driver.Staged, error) {
	err := r.do(ctx, call{op: "Stager.Stage", about: line(d.Table, d.Lane)}, func() error {
		d = kept(d)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &staged{r, d}, nil
}

// staged is a delta that waits.
type staged struct {
	applier
	d driver.Delta
}

func (s *staged) Apply(ctx context.Context, d driver.Delta) error {
	d.Keys, d.Images = s.d.Keys, s.d.Images
	return s.applier.Apply(ctx, d)
}

func (s *staged) Close() {}

// apply makes the table equal to a delta, in the order of HAZARDS C9.
func (r *role) apply(e *session, b *book, d driver.Delta) error {
	t, err := r.table(d.Table.Name)
	if err != nil {
		return err
	}
	places, err := t.placesOf(d.Shape.Names())
	if err != nil {
		return err
	}
	keys, err := t.placesOf(d.Shape.Keys().Names())
	if err != nil {
		return err
	}
	if d.Mended != nil {
		if err := b.strike(e, driver.Repairs, d.Table, d.Mended, d.Stamp); err != nil {
			return err
		}
	}
	if e.Flaw == PlainUpsert || e.Flaw == UpsertByAnyKey {
		return t.upsert(e, b, d, keys, places)
	}
	if err := t.removeKeys(e, keys, d.Keys); err != nil {
		return err
	}
	runs := make([]string, d.Images.Len())
	for i := range runs {
		runs[i] = t.spread(d.Images, i, places)
		if err := t.displace(e, b, d.Table, keys, runs[i]); err != nil {
			return err
		}
	}
	for _, run := range runs {
		if err := t.write(e, nil, run); err != nil {
			return err
		}
	}
	return b.noteChanged(e, d)
}

func (t *table) removeKeys(e *session, columns []int, keys *row.Batch) error {
	for i := range keys.Len() {
		key := string(keys.Row(i))
		for _, it := range t.candidates(columns, key) {
			v := it.seen(e)
			if v == nil || string(keyOf(*v, columns)) != key && (e.Flaw != FoldedKeys || !t.sameKey(*v, row.Key(key))) {
				continue
			}
			if err := e.set(it, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// displace removes what stands in a row's way and puts its keys on the repair list.
func (t *table) displace(e *session, b *book, number *schema.Table, keys []int, run string) error {
	inTheWay, err := t.clashes(e, nil, run)
	if err != nil {
		return err
	}
	for _, it := range inTheWay {
		key := string(keyOf(*it.seen(e), keys))
		if err := e.set(it, nil); err != nil {
			return err
		}
		if e.Flaw == NoRepairs {
			continue
		}
		if err := b.enlist(e, driver.Repairs, number, key); err != nil {
			return err
		}
	}
	return nil
}

func (b *book) noteChanged(e *session, d driver.Delta) error {
	if !d.Note {
		return nil
	}
	for i := range d.Keys.Len() {
		if err := b.enlist(e, driver.Changed, d.Table, string(d.Keys.Row(i))); err != nil {
			return err
		}
	}
	return nil
}

func (r applier) Part(ctx context.Context, t *schema.Table, s schema.Shape, k *schema.Key, epoch int64) (removed int64, err error) {
	err = r.do(ctx, call{op: "Applier.Part", about: t.Name.Name, commits: true}, func() error {
		b, err := r.fence(epoch)
		if err != nil {
			return err
		}
		own, err := r.table(t.Name)
		if err != nil {
			return err
		}
		keys, err := own.placesOf(s.Keys().Names())
		if err != nil {
			return err
		}
		x, err := own.shared(k)
		if err != nil {
			return err
		}
		return r.briefly("part", func(e *session) error {
			removed, err = own.part(e, b, t, keys, x)
			return err
		})
	})
	return removed, err
}

// shared indexes a key that is not built yet.
func (t *table) shared(k *schema.Key) (*index, error) {
	columns, err := t.placesOf(k.Names())
	if err != nil {
		return nil, err
	}
	x := &index{key: k, columns: columns, kinds: t.types(columns)}
	x.fill(t.rows)
	return x, nil
}

func (t *table) part(e *session, b *book, number *schema.Table, keys []int, x *index) (int64, error) {
	var removed int64
	for _, it := range append([]*item(nil), t.rows.items...) {
		if it.now == nil {
			continue
		}
		v, ok := x.value(*it.now)
		if !ok || len(x.at[v]) < 2 {
			continue
		}
		if err := e.set(it, nil); err != nil {
			return 0, err
		}
		if e.Flaw == PartForgets {
			continue
		}
		if err := b.enlist(e, driver.Repairs, number, string(keyOf(*it.now, keys))); err != nil {
			return 0, err
		}
		removed++
	}
	return removed, nil
}

// upsert is what PlainUpsert and UpsertByAnyKey do: rows that are gone are removed, the others are written one by one, into the
// row with their key or, by any key, into whichever row holds one of their unique values.
func (t *table) upsert(e *session, b *book, d driver.Delta, keys, places []int) error {
	gone, images := row.NewBatch(len(keys)), map[string]bool{}
	runs := make([]string, d.Images.Len())
	for i := range runs {
		runs[i] = t.spread(d.Images, i, places)
		images[string(keyOf(runs[i], keys))] = true
	}
	for i := range d.Keys.Len() {
		if !images[string(d.Keys.Row(i))] {
			if err := gone.AppendRow(d.Keys.Row(i)); err != nil {
				return err
			}
		}
	}
	if err := t.removeKeys(e, keys, gone); err != nil {
		return err
	}
	for _, run := range runs {
		if err := t.upsertOne(e, keys, run); err != nil {
			return err
		}
	}
	return b.noteChanged(e, d)
}

func (t *table) upsertOne(e *session, keys []int, run string) error {
	inTheWay, err := t.clashes(e, nil, run)
	if err != nil {
		return err
	}
	var own *item
	for _, it := range inTheWay {
		if string(keyOf(*it.seen(e), keys)) == string(keyOf(run, keys)) {
			own = it
		}
	}
	if own == nil && len(inTheWay) > 0 && e.Flaw == UpsertByAnyKey {
		own = inTheWay[0]
		old, _ := row.Key(*own.seen(e)).Cells()
		cells, _ := row.Key(run).Cells()
		for _, i := range keys {
			cells[i] = old[i]
		}
		run = string(row.MakeKey(cells...))
	}
	return t.write(e, own, run)
}
