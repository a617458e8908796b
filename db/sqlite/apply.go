package sqlite

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

type applier struct{ d *database }

// Apply makes the target equal to a delta. The rows of the keys are removed, unless their images take their places, and the images
// are written with INSERT OR REPLACE: what REPLACE takes out of the way is told to us, old values and all, by SQLite's pre-update hook, whatever kind
// of unique index it was in the way of (partial, on an expression, on a generated column), and its key goes on the repair
// list. That makes REPLACE safe here (HAZARDS C9).
func (a applier) Apply(ctx context.Context, d driver.Delta) error {
	err := a.d.write(ctx, lockWait, func(s *session) error {
		if err := s.fence(d.Epoch); err != nil {
			return err
		}
		if err := s.advance(d, a.d.label()); err != nil {
			return err
		}
		return s.replay(d)
	})
	if err != nil {
		return fmt.Errorf("apply %s batch %d: %w", d.Table.Name, d.Number, err)
	}
	return nil
}

// advance moves the lane to the delta's number.
func (s *session) advance(d driver.Delta, label string) error {
	last, err := s.lastBatch(d.Table, d.Lane)
	now := last.Number
	switch {
	case err != nil:
		return err
	case now >= d.Number:
		return fmt.Errorf("%w: lane %d stands at %d", errApplied, d.Lane, now)
	case now != d.Number-1:
		return fmt.Errorf("lane %d stands at batch %d", d.Lane, now)
	}
	_, err = s.exec(`INSERT INTO whimbrel_target_lane (table_no, lane, number, promiser, session) VALUES (?1, ?2, ?3, ?4, ?5)
		ON CONFLICT (table_no, lane) DO UPDATE SET number = excluded.number, promiser = excluded.promiser, session = excluded.session`,
		number(int64(d.Table.Number)), number(int64(d.Lane)), number(d.Number), number(d.By), text(label))
	return err
}

func (s *session) replay(d driver.Delta) error {
	columns := columnsOf(d.Shape)
	list, err := s.lister(d.Table)
	if err != nil {
		return err
	}
	keys := keyColumns(columns, d.Shape.Key)
	alone, err := s.onlyKey(d.Table, keys)
	switch {
	case err != nil:
		return err
	case alone:
		err = s.overwrite(d, columns, keys)
	default:
		err = s.displace(d, columns, keys, list)
	}
	if err != nil {
		return err
	}
	if d.Note {
		if err := list.put(driver.Changed, d.Keys); err != nil {
			return err
		}
	}
	if d.Mended == nil {
		return nil
	}
	return s.strike(driver.Repairs, d.Table, d.Mended, d.Stamp) // one that this very batch displaced has a newer stamp and stays
}

// removeKeys deletes the rows of exactly these keys.
func (s *session) removeKeys(t *schema.Table, columns []column, keys *row.Batch) error {
	st, _, err := s.conn.Prepare("DELETE FROM " + quote(t.Name.Name) + " WHERE " + keyEquals(t, columns))
	if err != nil {
		return err
	}
	defer st.Close()
	for i := range keys.Len() {
		for n := range columns {
			if err := columns[n].bind(st, n+1, keys.Cell(i, n)); err != nil {
				return err
			}
		}
		if err := st.Exec(); err != nil {
			return err
		}
	}
	return nil
}

// overwrite is the short way where nothing but a row's own key can be in its way: the rows of keys that have none any more are
// removed, and images take the place of the rows that they are newer than. Images usually come in the order of the keys; where
// they do not, more rows are removed first than need to be.
func (s *session) overwrite(d driver.Delta, columns, keys []column) error {
	gone := row.NewBatch(len(keys))
	var key []byte
	for i, image := 0, 0; i < d.Keys.Len(); i++ {
		if image < d.Images.Len() {
			if key = d.Images.AppendKey(key[:0], image, d.Shape.Key); string(key) == string(d.Keys.Row(i)) {
				image++
				continue
			}
		}
		if err := gone.AppendRow(d.Keys.Row(i)); err != nil {
			return err
		}
	}
	if err := s.removeKeys(d.Table, keys, gone); err != nil {
		return err
	}
	return s.writeImages(d, columns)
}

// displace is the way for every other table: what REPLACE takes out of the way is noted.
func (s *session) displace(d driver.Delta, columns, keys []column, list *lister) error {
	if err := s.removeKeys(d.Table, keys, d.Keys); err != nil {
		return err
	}
	displaced, err := s.displacing(d.Table, keys)
	if err != nil {
		return err
	}
	s.conn.PreUpdateHook(displaced.note)
	err = s.writeImages(d, columns)
	s.conn.PreUpdateHook(nil)
	if err == nil {
		err = displaced.err
	}
	if err != nil {
		return err
	}
	return list.put(driver.Repairs, displaced.found)
}

func (s *session) writeImages(d driver.Delta, columns []column) error {
	w, err := s.inserter(d.Table, columns, replacing)
	if err != nil {
		return err
	}
	defer w.close()
	if at, err := w.write(d.Images); err != nil {
		return placed(err, d.Shape, d.Images, at)
	}
	return nil
}

// onlyKey reports that the file's table has one unique key, its primary key, which is the one that rows are known by, and that
// it tells keys apart by their bytes: then no row but the one of the same key can be in the way of another.
func (s *session) onlyKey(t *schema.Table, keys []column) (bool, error) {
	declared := map[int]string{}
	err := s.each(columnsSQL, func(st *sqlite3.Stmt) error {
		if place := st.ColumnInt(4); place > 0 {
			declared[place] = st.ColumnText(0)
		}
		return nil
	}, text(t.Name.Name))
	if err != nil || len(declared) != len(keys) {
		return false, err
	}
	for i := range keys {
		if !strings.EqualFold(declared[i+1], keys[i].name) {
			return false, nil
		}
	}
	alone := true
	err = s.one(otherKeysSQL, func(st *sqlite3.Stmt) { alone = st.ColumnInt(0) == 0 }, text(t.Name.Name))
	return alone, err
}

// otherKeysSQL counts unique indexes of table ?1 that are not its primary key, and parts of that which do not compare bytes.
const otherKeysSQL = `SELECT (SELECT count(*) FROM pragma_index_list(?1, 'main') WHERE "unique" AND origin <> 'pk') +
	(SELECT count(*) FROM pragma_index_list(?1, 'main') AS l, pragma_index_xinfo(l.name, 'main') AS x
	WHERE l.origin = 'pk' AND x.key AND coalesce(x.coll, '') <> 'BINARY')`

// displacedRows collects the keys of rows that REPLACE removes.
type displacedRows struct {
	table  *schema.Table
	keys   []column
	places []int // of the keys' columns in the file's own table
	found  *row.Batch
	err    error
}

func (s *session) displacing(t *schema.Table, keys []column) (*displacedRows, error) {
	var names []string
	err := s.each(columnsSQL, func(st *sqlite3.Stmt) error {
		names = append(names, st.ColumnText(0))
		return nil
	}, text(t.Name.Name))
	r := &displacedRows{table: t, keys: keys, found: row.NewBatch(len(keys))}
	for _, k := range keys {
		at := slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, k.name) })
		if err == nil && at < 0 {
			err = fmt.Errorf("column %s is not there", k.name)
		}
		r.places = append(r.places, at)
	}
	return r, err
}

func (r *displacedRows) note(u sqlite3.PreUpdateData) {
	if u.Op != sqlite3.AUTH_DELETE || !strings.EqualFold(u.Table, r.table.Name.Name) || r.err != nil {
		return
	}
	b := r.found
	for i := range r.keys {
		old, err := u.Old(r.places[i])
		if err != nil {
			b.Abandon()
			r.err = fmt.Errorf("read a displaced key: %w", err)
			return
		}
		var v value
		v.load(old)
		if v.class == sqlite3.NULL {
			b.AppendNull()
			continue
		}
		out, why := r.keys[i].appendCell(b.Begin(), &v)
		if why != "" {
			b.Abandon()
			r.err = &driver.CellError{Table: r.table.Name, Column: r.keys[i].name, Why: why}
			return
		}
		b.End(out)
	}
}

// Part removes the rows that share a unique key's values and puts their keys on the repair list.
func (a applier) Part(ctx context.Context, t *schema.Table, sh schema.Shape, k *schema.Key, epoch int64) (int64, error) {
	var rows int64
	err := a.d.write(ctx, lockWait, func(s *session) error {
		if err := s.fence(epoch); err != nil {
			return err
		}
		columns := columnsOf(sh)
		shared, err := s.shared(t, columns, sh.Key, k)
		if err != nil || shared.Len() == 0 {
			return err
		}
		list, err := s.lister(t)
		if err != nil {
			return err
		}
		rows = int64(shared.Len())
		if err := list.put(driver.Repairs, shared); err != nil {
			return err
		}
		return s.removeKeys(t, keyColumns(columns, sh.Key), shared)
	})
	if err != nil {
		return 0, fmt.Errorf("part %s of %s: %w", k.Name, t.Name, err)
	}
	return rows, nil
}

// shared reads the keys of rows whose unique values another row has as well.
func (s *session) shared(t *schema.Table, columns []column, key []int, k *schema.Key) (*row.Batch, error) {
	var values, present, match []string
	for i, p := range k.Columns {
		v := quote(p.Column)
		if p.Column == "" && p.Expression != "" {
			v = "(" + p.Expression + ")"
		}
		collation := ""
		if p.Collation != "" {
			collation = " COLLATE " + quote(p.Collation)
		}
		name := "whimbrel_v" + itoa(i)
		values = append(values, v+collation+" AS "+name)
		present = append(present, v+" IS NOT NULL")
		match = append(match, v+collation+" = d."+name)
	}
	if k.Where != "" {
		present = append(present, "("+k.Where+")")
	}
	keys := keyColumns(columns, key)
	where := strings.Join(present, " AND ")
	sql := selectFrom(t, keys) + ", (SELECT " + strings.Join(values, ", ") + " FROM " + quote(t.Name.Name) + " WHERE " + where +
		" GROUP BY " + groupBy(len(values)) + " HAVING count(*) > 1) AS d WHERE " + where + " AND " + strings.Join(match, " AND ")
	st, _, err := s.conn.Prepare(sql)
	if err != nil {
		return nil, err
	}
	defer st.Close()
	places := make([]int, len(keys))
	for i := range places {
		places[i] = i
	}
	found := row.NewBatch(len(keys))
	for st.Step() {
		if err := s.appendRow(found, st, t, keys, places); err != nil {
			return nil, err
		}
	}
	return found, st.Err()
}

func groupBy(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = itoa(i + 1)
	}
	return strings.Join(all, ", ")
}
