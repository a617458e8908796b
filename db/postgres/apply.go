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
	defer l.release()
	defer l.rollback(ctx)
	err = db.apply(ctx, l.session, d)
	if err == nil {
		return nil
	}
	delete(l.stages, d.Table.Number) // the table's keys may be others now
	return fmt.Errorf("apply batch %d of %s: %w", d.Number, d.Table.Name, err)
}

func (db *database) apply(ctx context.Context, s *session, d driver.Delta) error {
	st, err := db.stage(ctx, s, d)
	if err != nil {
		return err
	}
	keys := setOf(d.Keys, 0, d.Keys.Len())
	goners := d.Keys
	if st.inPlace {
		if goners, err = without(d, keys); err != nil {
			return err
		}
	}
	if err := s.advance(ctx, d, st); err != nil {
		return err
	}
	if err := st.goners.fill(ctx, s, goners); err != nil {
		return placed(err, d.Table.Name)
	}
	if err := st.rows.fill(ctx, s, d.Images); err != nil {
		return placed(err, d.Table.Name)
	}
	displaced, err := s.carry(ctx, st, d, goners, keys)
	if err != nil {
		return err
	}
	if displaced.Len() > 0 {
		if err := s.put(ctx, driver.Repairs, d.Table, displaced); err != nil {
			return err
		}
	}
	return s.commit(ctx)
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

// advance begins the transaction with the fence and the lane's number.
func (s *session) advance(ctx context.Context, d driver.Delta, st *stage) error {
	t := d.Table.Number
	lane := fmt.Sprintf(`SELECT pg_advisory_xact_lock_shared(%[1]d, %[2]d)%[3]s; %[7]sUPDATE whimbrel_target.lane AS l
		SET number = %[4]d, promiser = %[8]d, session = pg_backend_pid() FROM whimbrel_target.epoch AS e
		WHERE l.table_no = %[2]d AND l.lane = %[5]d AND l.number = %[4]d - 1 AND e.epoch = %[6]d`,
		lockClass, t, st.settings, d.Number, d.Lane, d.Epoch, st.empty(), d.By)
	rows, err := s.fence(ctx, d.Epoch, lane)
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
