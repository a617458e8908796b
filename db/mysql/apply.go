package mysql

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// Apply stages keys and rows in temporary tables and then makes the table equal in one transaction: fence and number, the rows
// that go, the rows that come, the lists.
//
// A table that is known by its primary key, and has no other unique key, is written by an upsert, which changes rows where
// they stand: equal keys are equal bytes there, so that none but the row itself can be in the way (HAZARDS C9a). One with other
// unique keys is written by an UPDATE, whose duplicates are errors and never another row, of the rows whose unique values
// stay; the others go and come anew. Where keys can be equal that are not the same bytes, all rows go and come anew.
func (d *database) Apply(ctx context.Context, delta driver.Delta) error {
	err := d.work.with(ctx, func(s *session) error {
		a := &apply{d: d, s: s, delta: delta}
		gone, err := a.stage(ctx)
		if err != nil {
			return err
		}
		err = a.start(ctx)
		if err == nil {
			err = a.replace(ctx, gone)
		}
		if err != nil {
			s.rollback()
			return err
		}
		return s.commit(ctx)
	})
	if err != nil {
		return fmt.Errorf("apply batch %d of %s: %w", delta.Number, delta.Table.Name, d.mend(ctx, delta.Table, err))
	}
	return nil
}

type apply struct {
	d          *database
	s          *session
	delta      driver.Delta
	keys, rows string // the stages, quoted
	stamp      string
}

// manner is how rows are written.
type manner int

const (
	anew    manner = iota // deleted, and inserted again
	inPlace               // updated, where their unique values stay
	upsert                // updated or inserted
)

// manner chooses how rows of the delta's table are written.
func (a *apply) manner() manner {
	t, own := a.delta.Table, false
	for _, k := range uniqueKeys(t) {
		own = own || a.owns(k) && bytewiseKey(t, k)
		for _, p := range k.Columns {
			if p.Column == "" {
				return anew
			}
		}
	}
	switch {
	case !own:
		return anew
	case len(t.Uniques) == 0:
		return upsert
	case a.delta.Shape.Width() == len(a.delta.Shape.Key):
		return anew // there is nothing to update
	}
	return inPlace
}

func uniqueKeys(t *schema.Table) []*schema.Key {
	if t.Primary == nil {
		return t.Uniques
	}
	return append([]*schema.Key{t.Primary}, t.Uniques...)
}

// stage fills the temporary tables: the rows, and the keys whose rows are to be deleted, which it returns. They are outside
// the transaction: nobody else sees them and every apply empties them.
func (a *apply) stage(ctx context.Context) (gone *row.Batch, err error) {
	t := a.delta.Table
	if gone = a.delta.Keys; a.manner() != anew {
		if gone, err = absent(a.delta); err != nil {
			return nil, err
		}
	}
	if gone.Len() > 0 {
		if a.keys, err = a.make(ctx, "keys", a.delta.Shape.Keys()); err == nil {
			err = newSink(a.keys, t, a.delta.Shape.Keys()).send(ctx, a.d, a.s, gone)
		}
	}
	if err == nil && a.delta.Images.Len() > 0 {
		if a.rows, err = a.make(ctx, "rows", a.delta.Shape); err == nil {
			err = newSink(a.rows, t, a.delta.Shape).send(ctx, a.d, a.s, a.delta.Images)
		}
	}
	return gone, err
}

// absent returns the keys of a delta that have no row.
func absent(delta driver.Delta) (*row.Batch, error) {
	some := row.NewBatch(delta.Keys.Width())
	if delta.Images.Len() == delta.Keys.Len() { // each is the row of another key
		return some, nil
	}
	there := make(map[[16]byte]struct{}, delta.Images.Len())
	var key []byte
	for i := range delta.Images.Len() {
		key = delta.Images.AppendKey(key[:0], i, delta.Shape.Key)
		there[row.Seed(0).Digest(key)] = struct{}{}
	}
	for i := range delta.Keys.Len() {
		if _, ok := there[row.Seed(0).Digest(delta.Keys.Row(i))]; ok {
			continue
		}
		if err := some.AppendRow(delta.Keys.Row(i)); err != nil {
			return nil, err
		}
	}
	return some, nil
}

// make makes or empties one stage. Its columns have the table's types and collations, and, where a unique key of the
// table has a generated column, that column too.
func (a *apply) make(ctx context.Context, what string, s schema.Shape) (string, error) {
	t := a.delta.Table
	plain := "whimbrel_" + what + "_" + strconv.Itoa(t.Number)
	name := quote(a.d.schema) + "." + quote(plain)
	key := ""
	if what == "rows" && a.manner() == inPlace {
		key = " (PRIMARY KEY (" + list(s.Keys().Names()) + "))"
	}
	like := " AS SELECT " + list(s.Names()) + " FROM " + a.d.dialect.name(t.Name) + " LIMIT 0"
	var more []string
	if what == "rows" {
		for _, c := range generatedKeys(t) {
			more = append(more, "ADD COLUMN "+a.d.dialect.column(t, c, false))
		}
	}
	signature := key + like + strings.Join(more, "")
	if a.s.stages[plain] == signature {
		return name, a.s.run(ctx, "TRUNCATE TABLE "+name)
	}
	delete(a.s.stages, plain)
	if err := a.s.run(ctx, "DROP TEMPORARY TABLE IF EXISTS "+name); err != nil {
		return "", err
	}
	if err := a.create(ctx, name+key, like); err != nil {
		return "", err
	}
	if len(more) > 0 {
		if err := a.s.run(ctx, "ALTER TABLE "+name+" "+strings.Join(more, ", ")); err != nil {
			return "", err
		}
	}
	a.s.stages[plain] = signature
	return name, nil
}

// create makes a temporary table, of an engine without a way back if the server has one and lets us: a stage needs none, and
// InnoDB would keep one.
func (a *apply) create(ctx context.Context, head, like string) error {
	if a.d.version.maria() {
		err := a.s.run(ctx, "CREATE TEMPORARY TABLE "+head+" ENGINE=Aria"+like)
		if err == nil || number(err) == 0 {
			return err
		}
	}
	return a.s.run(ctx, "CREATE TEMPORARY TABLE "+head+" ENGINE=InnoDB"+like)
}

// generatedKeys are the generated columns that unique keys of the table are made of.
func generatedKeys(t *schema.Table) (all []*schema.Column) {
	for _, k := range t.Uniques {
		for _, p := range k.Columns {
			if c := t.Column(p.Column); c != nil && c.Generated != nil && !slices.Contains(all, c) {
				all = append(all, c)
			}
		}
	}
	return all
}

// start opens the transaction: fence, stamp, number.
func (a *apply) start(ctx context.Context) error {
	d, t := a.d, a.delta.Table
	for range 2 {
		if err := a.s.begin(ctx); err != nil {
			return err
		}
		if err := d.fence(ctx, a.s, a.delta.Epoch); err != nil {
			return err
		}
		if ready, err := a.number(ctx); ready || err != nil {
			return err
		}
		a.s.rollback()
		for _, lane := range []int{stampLane, a.delta.Lane} {
			if err := d.ensureLane(ctx, a.s, t, lane); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("the ledger has no lane %d of %s", a.delta.Lane, t.Name)
}

// number takes the stamp and writes the batch's number; ready is false when the lane has no row yet.
func (a *apply) number(ctx context.Context) (ready bool, err error) {
	where := " WHERE table_no = ? AND lane = ?"
	n := int64(a.delta.Table.Number)
	stamp, err := a.s.rows(ctx, "SELECT number FROM "+a.d.own("lane")+where+" LOCK IN SHARE MODE", n, int64(stampLane))
	if err != nil {
		return false, err
	}
	moved, err := a.s.exec(ctx, "UPDATE "+a.d.own("lane")+" SET number = ?, promiser = ?, session = ?"+where+" AND number = ?",
		a.delta.Number, a.delta.By, a.s.id, n, int64(a.delta.Lane), a.delta.Number-1)
	if err != nil || len(stamp) == 1 && moved == 1 {
		if err == nil {
			a.stamp = stamp[0][0]
		}
		return err == nil, err
	}
	last, err := a.s.rows(ctx, "SELECT number FROM "+a.d.own("lane")+where, n, int64(a.delta.Lane))
	if err != nil || len(last) == 0 || len(stamp) == 0 {
		return false, err
	}
	has, _ := strconv.ParseInt(last[0][0], 10, 64)
	if has >= a.delta.Number {
		return false, fmt.Errorf("%w: its last is %d", errApplied, has)
	}
	return false, fmt.Errorf("the ledger's last batch is %d", has)
}

// replace is the body of the transaction.
func (a *apply) replace(ctx context.Context, gone *row.Batch) error {
	d, t := a.d, a.delta.Table
	if gone.Len() > 0 {
		if err := a.remove(ctx); err != nil {
			return err
		}
	}
	displaced := row.NewBatch(max(len(a.delta.Shape.Key), 1))
	err := a.write(ctx, displaced)
	if err == nil && a.delta.Mended != nil {
		err = d.strike(ctx, a.s, driver.Repairs, t, a.delta.Mended, a.delta.Stamp)
	}
	if err == nil {
		err = d.put(ctx, a.s, driver.Repairs, t, displaced, a.stamp)
	}
	if err == nil && a.delta.Note {
		err = d.put(ctx, a.s, driver.Changed, t, a.delta.Keys, a.stamp)
	}
	return err
}
