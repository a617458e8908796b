package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// Apply makes the target equal to a delta, in one transaction.
func (db *database) Apply(ctx context.Context, d driver.Delta) error {
	l, err := db.worker(ctx)
	if err != nil {
		return err
	}
	w := &turn{lease: l, table: d.Table.Number}
	defer w.Close()
	if err := w.fill(ctx, d); err != nil {
		return applying(d, err)
	}
	return w.Apply(ctx, d)
}

// Stage brings keys and images of a delta into the temporary tables of a session, in a transaction that stays open.
func (db *database) Stage(ctx context.Context, d driver.Delta, quick bool) (driver.Staged, error) {
	get := db.worker
	if quick {
		get = db.spare
	}
	l, err := get(ctx)
	if l == nil || err != nil {
		return nil, err
	}
	w := &turn{lease: l, table: d.Table.Number}
	if err := w.fill(ctx, d); err != nil {
		w.Close()
		return nil, fmt.Errorf("stage rows of %s: %w", d.Table.Name, err)
	}
	return w, nil
}

// turn is a session whose temporary tables hold a delta.
type turn struct {
	*lease
	table  int
	ended  bool // it was applied, or tried to be
	st     *stage
	keys   *keySet
	goners *row.Batch // the keys that are deleted
}

// fill begins the transaction and fills the temporary tables. Nobody else sees anything of it: the fence comes before the first
// statement that others could see (HAZARDS C3).
func (w *turn) fill(ctx context.Context, d driver.Delta) (err error) {
	if w.st, err = w.db.stage(ctx, w.session, d); err != nil {
		return err
	}
	w.keys, w.goners = setOf(d.Keys, 0, d.Keys.Len()), d.Keys
	if w.st.inPlace {
		if w.goners, err = without(d, w.keys); err != nil {
			return err
		}
	}
	if err := w.exec(ctx, "BEGIN; "+w.st.empty()); err != nil {
		return err
	}
	if err := w.st.goners.fill(ctx, w.session, w.goners); err != nil {
		return placed(err, d.Table.Name)
	}
	return placed(w.st.rows.fill(ctx, w.session, d.Images), d.Table.Name)
}

// Apply carries what was filled in into the table.
func (w *turn) Apply(ctx context.Context, d driver.Delta) error {
	if w.ended || w.conn.TxStatus() != 'T' {
		return applying(d, errors.New("what was staged is not there: it had its turn, was closed or was undone"))
	}
	w.ended = true
	if err := w.carry(ctx, d); err != nil {
		w.forgetStage()
		w.rollback(ctx) // whoever asks for the lane's number waits for what may commit
		return applying(d, err)
	}
	return nil
}

// applying names the batch.
func applying(d driver.Delta, err error) error {
	return fmt.Errorf("apply batch %d of %s: %w", d.Number, d.Table.Name, err)
}

func (w *turn) carry(ctx context.Context, d driver.Delta) error {
	if err := w.advance(ctx, d, w.st); err != nil {
		return err
	}
	displaced, err := w.session.carry(ctx, w.st, d, w.goners, w.keys)
	if err != nil {
		return err
	}
	if displaced.Len() > 0 {
		if err := w.put(ctx, driver.Repairs, d.Table, displaced); err != nil {
			return err
		}
	}
	return w.commit(ctx)
}

// forgetStage has the temporary tables made again: the table's keys may be others now, and what is undone stands in them again.
func (w *turn) forgetStage() { delete(w.stages, w.table) }

// Close undoes what was not carried and gives the session back.
func (w *turn) Close() {
	if w.held == nil {
		return
	}
	if !w.ended {
		w.ended = true
		w.forgetStage()
		w.rollback(context.Background())
	}
	w.release()
}

// without returns the keys of a delta that have no row.
func without(d driver.Delta, keys *keySet) (*row.Batch, error) {
	goners := row.NewBatch(d.Keys.Width())
	if d.Images == nil || d.Images.Len() == 0 {
		return d.Keys, nil
	}
	there, run := make([]bool, keys.len()), []byte{}
	for i := range d.Images.Len() {
		run = d.Images.AppendKey(run[:0], i, d.Shape.Key)
		if at := keys.find(run); at >= 0 {
			there[at] = true
		}
	}
	for i, is := range there {
		if !is {
			if err := goners.AppendRow(d.Keys.Row(i)); err != nil {
				return nil, err
			}
		}
	}
	return goners, nil
}

// advance is the fence and the lane's number.
func (s *session) advance(ctx context.Context, d driver.Delta, st *stage) error {
	t := d.Table.Number
	lane := fmt.Sprintf(`SELECT pg_advisory_xact_lock_shared(%[1]d, %[2]d)%[3]s; UPDATE whimbrel_target.lane AS l
		SET number = %[4]d, promiser = %[7]d, session = pg_backend_pid() FROM whimbrel_target.epoch AS e
		WHERE l.table_no = %[2]d AND l.lane = %[5]d AND l.number = %[4]d - 1 AND e.epoch = %[6]d`,
		lockClass, t, st.settings, d.Number, d.Lane, d.Epoch, d.By)
	rows, err := s.fenceBehind(ctx, "", d.Epoch, lane)
	if err != nil || rows == 1 {
		return err
	}
	r, err := s.query(ctx, "SELECT number FROM whimbrel_target.lane WHERE table_no = $1 AND lane = $2", itoa(t), itoa(d.Lane))
	if err != nil {
		return err
	}
	last := int64(0)
	if len(r.Rows) > 0 {
		last = number(r.Rows[0][0])
	}
	switch {
	case last >= d.Number:
		return &failure{class: driver.Exists, err: fmt.Errorf("the lane's last batch is %d already", last)}
	case d.Number != last+1 || len(r.Rows) > 0:
		return fmt.Errorf("the lane's last batch is %d", last)
	}
	first := fmt.Sprintf("INSERT INTO whimbrel_target.lane (table_no, lane, number, promiser, session) VALUES (%d, %d, %d, %d, pg_backend_pid())",
		t, d.Lane, d.Number, d.By)
	return s.exec(ctx, first)
}

// placed names the table in a cell's error.
func placed(err error, t schema.Name) error {
	var cell *driver.CellError
	if errors.As(err, &cell) {
		cell.Table = t
	}
	return err
}

// carry runs the statements from the stage into the table, and the lists, in one round trip; it returns the keys of the
// rows that were in the way and do not come back with this batch.
func (s *session) carry(ctx context.Context, st *stage, d driver.Delta, goners *row.Batch, keys *keySet) (*row.Batch, error) {
	b, first, last := &pgconn.Batch{}, 0, 0
	if goners.Len() > 0 {
		b.ExecParams(st.remove, nil, nil, nil, nil)
		first, last = 1, 1
	}
	if d.Images != nil && d.Images.Len() > 0 {
		for _, sql := range st.displace {
			b.ExecParams(sql, nil, nil, nil, formats(st.goners.codecs))
		}
		last += len(st.displace)
		b.ExecParams(st.write, nil, nil, nil, nil)
	}
	if d.Mended != nil && d.Mended.Len() > 0 {
		b.ExecParams(strike, strikeArgs(driver.Repairs, d.Table, d.Mended, d.Stamp), nil, strikeFormats, nil)
	}
	if d.Note && d.Keys.Len() > 0 {
		b.ExecParams(put, putArgs(driver.Changed, d.Table, d.Keys), nil, putFormats, nil)
	}
	displaced := row.NewBatch(d.Keys.Width())
	results := s.conn.ExecBatch(ctx, b)
	for place := 0; results.NextResult(); place++ {
		r := results.ResultReader()
		for place >= first && place < last && r.NextRow() {
			if err := appendRow(displaced, st.goners.codecs, r.Values()); err != nil {
				return nil, errors.Join(err, results.Close())
			}
			if at := displaced.Len() - 1; keys.find(displaced.Row(at)) >= 0 {
				displaced.Truncate(at)
			}
		}
		_, _ = r.Close()
	}
	return displaced, s.explain(ctx, results.Close())
}

// Part makes a unique key fit to be built.
func (db *database) Part(ctx context.Context, t *schema.Table, sh schema.Shape, k *schema.Key, epoch int64) (int64, error) {
	l, err := db.worker(ctx)
	if err != nil {
		return 0, err
	}
	defer l.release()
	defer l.rollback(ctx)
	n, err := db.part(ctx, l.session, t, sh, k, epoch)
	if err != nil {
		return 0, fmt.Errorf("part the rows of %s that share a value of %s: %w", t.Name, k.Name, err)
	}
	return n, nil
}

func (db *database) part(ctx context.Context, s *session, t *schema.Table, sh schema.Shape, k *schema.Key, epoch int64) (int64, error) {
	lock := fmt.Sprintf("SELECT pg_advisory_xact_lock_shared(%d, %d) FROM whimbrel_target.epoch WHERE epoch = %d",
		lockClass, t.Number, epoch)
	if _, err := s.fence(ctx, epoch, lock); err != nil {
		return 0, err
	}
	keys := sh.Keys()
	all := db.codecs(keys)
	r := s.conn.ExecParams(ctx, parting(db.dialect().table(t.Name), sh, k), nil, nil, nil, formats(all))
	parted := row.NewBatch(keys.Width())
	var failed error
	for r.NextRow() {
		if failed == nil {
			failed = appendRow(parted, all, r.Values())
		}
	}
	if _, err := r.Close(); err != nil || failed != nil {
		return 0, errors.Join(s.explain(ctx, err), failed)
	}
	if parted.Len() > 0 {
		if err := s.put(ctx, driver.Repairs, t, parted); err != nil {
			return 0, err
		}
	}
	return int64(parted.Len()), s.commit(ctx)
}

// parting deletes every row of a group that shares the key's values.
func parting(target string, sh schema.Shape, k *schema.Key) string {
	where, group, match := "", []string{}, []string{}
	for i, p := range k.Columns {
		e, name := partSQL(p), quote("whimbrel "+itoa(i))
		group = append(group, "("+e+") AS "+name)
		if k.NullsEqual {
			match = append(match, "(("+e+") = s."+name+" OR ("+e+") IS NULL AND s."+name+" IS NULL)")
		} else {
			match = append(match, "("+e+") = s."+name)
		}
	}
	if k.Where != "" {
		where = " WHERE " + k.Where
		match = append(match, "("+k.Where+")")
	}
	places := make([]string, len(group))
	for i := range places {
		places[i] = itoa(i + 1)
	}
	return "DELETE FROM " + target + " AS t USING (SELECT " + strings.Join(group, ", ") + " FROM " + target + where +
		" GROUP BY " + strings.Join(places, ", ") + " HAVING count(*) > 1) AS s WHERE " + strings.Join(match, " AND ") +
		" RETURNING " + strings.Join(keyColumns(sh, "t."), ", ")
}
