package mysql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// Apply stages keys and rows in temporary tables, then, in one transaction: fence and number, delete exactly those keys,
// delete whatever holds a unique value of the rows and note it for repair, insert the rows, keep the lists.
func (d *database) Apply(ctx context.Context, delta driver.Delta) error {
	err := d.work.with(ctx, func(s *session) error {
		a := &apply{d: d, s: s, delta: delta}
		if err := a.stage(ctx); err != nil {
			return err
		}
		err := a.start(ctx)
		if err == nil {
			err = a.replace(ctx)
		}
		if err != nil {
			s.rollback()
			return err
		}
		return s.commit(ctx)
	})
	if err != nil {
		return fmt.Errorf("apply batch %d of %s: %w", delta.Number, delta.Table.Name, err)
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

// stage fills the temporary tables. They are outside the transaction: nobody else sees them and every apply empties them.
func (a *apply) stage(ctx context.Context) (err error) {
	t := a.delta.Table
	keys, err := a.make(ctx, "keys", a.delta.Shape.Keys())
	if err != nil {
		return err
	}
	rows, err := a.make(ctx, "rows", a.delta.Shape)
	if err != nil {
		return err
	}
	a.keys, a.rows = keys, rows
	if err := newSink(keys, t, a.delta.Shape.Keys()).send(ctx, a.d, a.s, a.delta.Keys); err != nil {
		return err
	}
	return newSink(rows, t, a.delta.Shape).send(ctx, a.d, a.s, a.delta.Images)
}

// make makes or empties one stage. Its columns have the table's types and collations, and, where a unique key of the
// table has a generated column, that column too.
func (a *apply) make(ctx context.Context, what string, s schema.Shape) (string, error) {
	t := a.delta.Table
	plain := "whimbrel_" + what + "_" + strconv.Itoa(t.Number)
	name := quote(a.d.schema) + "." + quote(plain)
	made := "CREATE TEMPORARY TABLE " + name + " ENGINE=InnoDB AS SELECT " + list(s.Names()) + " FROM " + a.d.dialect.name(t.Name) + " LIMIT 0"
	var more []string
	if what == "rows" {
		for _, c := range generatedKeys(t) {
			more = append(more, "ADD COLUMN "+a.d.dialect.column(t, c, false))
		}
	}
	signature := made + strings.Join(more, "")
	if a.s.stages[plain] == signature {
		return name, a.s.run(ctx, "DELETE FROM "+name)
	}
	delete(a.s.stages, plain)
	if err := a.s.run(ctx, "DROP TEMPORARY TABLE IF EXISTS "+name); err != nil {
		return "", err
	}
	if err := a.s.run(ctx, made); err != nil {
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
	moved, err := a.s.exec(ctx, "UPDATE "+a.d.own("lane")+" SET number = ?, session = ?"+where+" AND number = ?",
		a.delta.Number, a.s.id, n, int64(a.delta.Lane), a.delta.Number-1)
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
func (a *apply) replace(ctx context.Context) error {
	d, t := a.d, a.delta.Table
	var same []string
	for _, k := range keyColumns(a.delta.Shape) {
		q := quote(k.name)
		same = append(same, "t."+q+" = s."+q, "CAST(t."+q+" AS BINARY) = CAST(s."+q+" AS BINARY)")
	}
	if err := a.s.run(ctx, "DELETE t FROM "+a.keys+" s STRAIGHT_JOIN "+d.dialect.name(t.Name)+" t WHERE "+strings.Join(same, " AND ")); err != nil {
		return err
	}
	displaced, err := a.displace(ctx)
	if err != nil {
		return err
	}
	names := list(a.delta.Shape.Names())
	stored, err := a.s.exec(ctx, "INSERT INTO "+d.dialect.name(t.Name)+" ("+names+") SELECT "+names+" FROM "+a.rows)
	if err != nil {
		return err
	}
	if stored != int64(a.delta.Images.Len()) {
		return fmt.Errorf("%d rows were sent and %d stored", a.delta.Images.Len(), stored)
	}
	if a.delta.Mended != nil {
		if err := d.strike(ctx, a.s, driver.Repairs, t, a.delta.Mended, a.delta.Stamp); err != nil {
			return err
		}
	}
	if err := d.put(ctx, a.s, driver.Repairs, t, displaced, a.stamp); err != nil {
		return err
	}
	if !a.delta.Note {
		return nil
	}
	return d.put(ctx, a.s, driver.Changed, t, a.delta.Keys, a.stamp)
}

// displace removes the rows that hold a unique value about to be written, as the target compares them, and returns
// their keys. The primary key is one of the unique keys: under a collation another row can hold a value like ours.
func (a *apply) displace(ctx context.Context) (*row.Batch, error) {
	t := a.delta.Table
	found := row.NewBatch(max(len(a.delta.Shape.Key), 1))
	if a.delta.Images.Len() == 0 {
		return found, nil
	}
	keys := slices.Clone(t.Uniques)
	if t.Primary != nil && !bytewiseKey(t, t.Primary) {
		keys = append(keys, t.Primary)
	}
	for _, k := range keys {
		if k.Where != "" || a.owns(k) && bytewiseKey(t, k) {
			continue
		}
		join := a.rows + " s STRAIGHT_JOIN " + a.d.dialect.name(t.Name) + " t WHERE " + strings.Join(equal(k, "t", "s"), " AND ")
		before := found.Len()
		if err := a.d.collect(ctx, a.s, t, a.delta.Shape, "SELECT DISTINCT %s FROM "+join+" FOR UPDATE", found); err != nil {
			return nil, err
		}
		if found.Len() == before {
			continue
		}
		if err := a.s.run(ctx, "DELETE t FROM "+join); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// owns reports whether k is the key that the delta's rows are known by.
func (a *apply) owns(k *schema.Key) bool {
	return slices.EqualFunc(k.Names(), keyColumns(a.delta.Shape), func(n string, c keyColumn) bool { return n == c.name })
}

// bytewiseKey reports whether keys that are equal have equal bytes, so that no other row than that of the key itself
// can be in the way.
func bytewiseKey(t *schema.Table, k *schema.Key) bool {
	for _, p := range k.Columns {
		c := t.Column(p.Column)
		if c == nil || p.Prefix > 0 || c.Type.Charset != "" && !c.Type.Binary {
			return false
		}
	}
	return true
}

// equal compares the parts of a unique key of two tables, as the key does.
func equal(k *schema.Key, a, b string) []string {
	var all []string
	for _, p := range k.Columns {
		all = append(all, part(p, a)+" = "+part(p, b))
	}
	return all
}

func part(p schema.Part, alias string) string {
	switch {
	case p.Column == "":
		return "(" + p.Expression + ")"
	case p.Prefix > 0:
		return "LEFT(" + alias + "." + quote(p.Column) + ", " + strconv.Itoa(p.Prefix) + ")"
	}
	return alias + "." + quote(p.Column)
}

// collect runs a query with the key's columns of t in place of %s and appends the keys.
func (d *database) collect(ctx context.Context, s *session, t *schema.Table, shape schema.Shape, query string, keys *row.Batch) error {
	c := newCells(t, shape.Keys())
	r, err := s.conn.QueryContext(ctx, strings.Replace(query, "%s", c.exprs("t"), 1), nil)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		if err := r.Next(c.values); errors.Is(err, io.EOF) {
			return r.Close()
		} else if err != nil {
			return err
		}
		if err := c.append(keys, c.values); err != nil {
			keys.Abandon()
			return err
		}
	}
}

// Part removes the rows that share the values of a unique key, and notes them for repair (HAZARDS C18).
func (d *database) Part(ctx context.Context, t *schema.Table, shape schema.Shape, k *schema.Key, epoch int64) (removed int64, err error) {
	err = d.work.with(ctx, func(s *session) error {
		if err := d.ensureLane(ctx, s, t, stampLane); err != nil {
			return err
		}
		return s.transact(ctx, func() (err error) {
			removed, err = d.part(ctx, s, t, shape, k, epoch)
			return err
		})
	})
	if err != nil {
		return 0, fmt.Errorf("part the rows of %s that share %s: %w", t.Name, k.Name, err)
	}
	return removed, nil
}

func (d *database) part(ctx context.Context, s *session, t *schema.Table, shape schema.Shape, k *schema.Key, epoch int64) (int64, error) {
	if err := d.fence(ctx, s, epoch); err != nil {
		return 0, err
	}
	stamp, err := s.row(ctx, "SELECT number FROM "+d.own("lane")+" WHERE table_no = ? AND lane = ? LOCK IN SHARE MODE", int64(t.Number), int64(stampLane))
	if err != nil {
		return 0, err
	}
	shared := quote(d.schema) + "." + quote("whimbrel_part_"+strconv.Itoa(t.Number))
	var columns, set, group, on []string
	for i, p := range k.Columns {
		v := "v" + strconv.Itoa(i)
		columns = append(columns, part(p, "t")+" AS "+v)
		set = append(set, part(p, "t")+" IS NOT NULL")
		group = append(group, v)
		on = append(on, part(p, "t")+" = s."+v)
	}
	name := d.dialect.name(t.Name)
	for _, sql := range []string{
		"DROP TEMPORARY TABLE IF EXISTS " + shared,
		"CREATE TEMPORARY TABLE " + shared + " ENGINE=InnoDB AS SELECT " + strings.Join(columns, ", ") + " FROM " + name + " t WHERE " +
			strings.Join(set, " AND ") + " GROUP BY " + strings.Join(group, ", ") + " HAVING COUNT(*) > 1",
	} {
		if err := s.run(ctx, sql); err != nil {
			return 0, err
		}
	}
	some, err := s.row(ctx, "SELECT COUNT(*) FROM "+shared)
	if err != nil || some[0] == "0" {
		return 0, err
	}
	keys := row.NewBatch(len(shape.Key))
	join := name + " t JOIN " + shared + " s ON " + strings.Join(on, " AND ")
	if err := d.collect(ctx, s, t, shape, "SELECT DISTINCT %s FROM "+join, keys); err != nil {
		return 0, err
	}
	removed, err := s.exec(ctx, "DELETE t FROM "+join)
	if err == nil && removed != int64(keys.Len()) {
		err = fmt.Errorf("%d rows share a value and %d were removed", keys.Len(), removed)
	}
	if err == nil {
		err = d.put(ctx, s, driver.Repairs, t, keys, stamp[0])
	}
	return removed, err
}
