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

// Apply stages keys and rows in temporary tables and then makes the table equal in one transaction: fence and number, the rows
// that go, the rows that come, the lists.
//
// A table that is known by its primary key, and has no other unique key, is written by an upsert, which changes rows where
// they stand: equal keys are equal bytes there, so that none but the row itself can be in the way (HAZARDS C9a). Any other
// table is written by deleting exactly the keys, deleting whatever holds a unique value of the rows and noting it for repair,
// and inserting the rows.
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

// upserts reports whether the table may be written by an upsert.
func (a *apply) upserts() bool {
	t := a.delta.Table
	return len(t.Uniques) == 0 && t.Primary != nil && a.owns(t.Primary) && bytewiseKey(t, t.Primary)
}

// stage fills the temporary tables: the rows, and the keys whose rows are to be deleted, which it returns. They are outside
// the transaction: nobody else sees them and every apply empties them.
func (a *apply) stage(ctx context.Context) (gone *row.Batch, err error) {
	t := a.delta.Table
	if gone = a.delta.Keys; a.upserts() {
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
	like := " AS SELECT " + list(s.Names()) + " FROM " + a.d.dialect.name(t.Name) + " LIMIT 0"
	var more []string
	if what == "rows" {
		for _, c := range generatedKeys(t) {
			more = append(more, "ADD COLUMN "+a.d.dialect.column(t, c, false))
		}
	}
	signature := like + strings.Join(more, "")
	if a.s.stages[plain] == signature {
		return name, a.s.run(ctx, "TRUNCATE TABLE "+name)
	}
	delete(a.s.stages, plain)
	if err := a.s.run(ctx, "DROP TEMPORARY TABLE IF EXISTS "+name); err != nil {
		return "", err
	}
	if err := a.create(ctx, name, like); err != nil {
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
func (a *apply) create(ctx context.Context, name, like string) error {
	if a.d.version.maria() {
		err := a.s.run(ctx, "CREATE TEMPORARY TABLE "+name+" ENGINE=Aria"+like)
		if err == nil || number(err) == 0 {
			return err
		}
	}
	return a.s.run(ctx, "CREATE TEMPORARY TABLE "+name+" ENGINE=InnoDB"+like)
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
func (a *apply) replace(ctx context.Context, gone *row.Batch) error {
	d, t := a.d, a.delta.Table
	if gone.Len() > 0 {
		if err := a.remove(ctx); err != nil {
			return err
		}
	}
	displaced, err := a.displace(ctx)
	if err == nil {
		err = a.write(ctx)
	}
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

// remove deletes the rows of exactly the staged keys.
func (a *apply) remove(ctx context.Context) error {
	var same []string
	for _, k := range keyColumns(a.delta.Shape) {
		q := quote(k.name)
		same = append(same, "t."+q+" = s."+q)
		if !exact(k.typ) {
			same = append(same, "CAST(t."+q+" AS BINARY) = CAST(s."+q+" AS BINARY)")
		}
	}
	return a.s.run(ctx, "DELETE t FROM "+a.keys+" s STRAIGHT_JOIN "+a.d.dialect.name(a.delta.Table.Name)+" t WHERE "+strings.Join(same, " AND "))
}

// write writes the staged rows. An upsert counts a row that it has changed as two.
func (a *apply) write(ctx context.Context) error {
	sent := int64(a.delta.Images.Len())
	if sent == 0 {
		return nil
	}
	columns := list(a.delta.Shape.Names())
	sql, most := "INSERT INTO "+a.d.dialect.name(a.delta.Table.Name)+" ("+columns+") SELECT "+columns+" FROM "+a.rows+" s", sent
	if a.upserts() {
		var set []string
		for _, n := range a.delta.Shape.Names() {
			set = append(set, quote(n)+" = s."+quote(n))
		}
		sql, most = sql+" ON DUPLICATE KEY UPDATE "+strings.Join(set, ", "), 2*sent
	}
	stored, err := a.s.exec(ctx, sql)
	if err == nil && (stored < sent || stored > most) {
		err = fmt.Errorf("%d rows were sent and %d stored", sent, stored)
	}
	return err
}

// displace removes the rows that hold a unique value about to be written, as the target compares them, and returns
// their keys. The primary key is one of the unique keys: under a collation another row can hold a value like ours.
func (a *apply) displace(ctx context.Context) (*row.Batch, error) {
	t := a.delta.Table
	found := row.NewBatch(max(len(a.delta.Shape.Key), 1))
	if a.delta.Images.Len() == 0 || a.upserts() {
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
		if c == nil || p.Prefix > 0 || !exact(c.Type) {
			return false
		}
	}
	return true
}

// exact reports whether values of a type that the server finds equal have equal bytes.
func exact(t schema.Type) bool {
	return (t.Charset == "" || t.Binary) && t.Kind != row.Float32 && t.Kind != row.Float64
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
