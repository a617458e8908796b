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
	if err := s.advance(ctx, d, st); err != nil {
		return err
	}
	if err := s.fillStage(ctx, st, d); err != nil {
		return err
	}
	displaced, err := s.carry(ctx, st, d)
	if err != nil {
		return err
	}
	if displaced.Len() > 0 {
		r := s.conn.ExecParams(ctx, put, putArgs(driver.Repairs, d.Table, displaced), nil, nil, nil).Read()
		if r.Err != nil {
			return s.explain(ctx, r.Err)
		}
	}
	return s.commit(ctx)
}

// advance begins the transaction with the fence and the lane's number.
func (s *session) advance(ctx context.Context, d driver.Delta, st *stage) error {
	t := d.Table.Number
	lane := fmt.Sprintf(`SELECT pg_advisory_xact_lock_shared(%[1]d, %[2]d); %[3]s; UPDATE whimbrel_target.lane AS l
		SET number = %[4]d, epoch = e.epoch, session = pg_backend_pid() FROM whimbrel_target.epoch AS e
		WHERE l.table_no = %[2]d AND l.lane = %[5]d AND l.number = %[4]d - 1 AND e.epoch = %[6]d`,
		lockClass, t, st.empty, d.Number, d.Lane, d.Epoch)
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
	first := fmt.Sprintf("INSERT INTO whimbrel_target.lane (table_no, lane, number, epoch, session) VALUES (%d, %d, %d, %d, pg_backend_pid())",
		t, d.Lane, d.Number, d.Epoch)
	return s.exec(ctx, first)
}

func (s *session) fillStage(ctx context.Context, st *stage, d driver.Delta) error {
	for _, part := range []struct {
		sql    string
		codecs []codec
		rows   *row.Batch
	}{{st.copyKeys, st.keys, d.Keys}, {st.copyRows, st.rows, d.Images}} {
		if part.rows == nil || part.rows.Len() == 0 {
			continue
		}
		c := s.copyIn(ctx, part.sql, part.codecs)
		if err := c.write(ctx, part.rows); err != nil {
			return placed(err, c.abort(), d.Table.Name)
		}
		if _, err := c.end(ctx); err != nil {
			return err
		}
	}
	return nil
}

// placed names the table in a cell's error, and prefers the server's error to that of the pipe it broke.
func placed(err, cause error, t schema.Name) error {
	var cell *driver.CellError
	if errors.As(err, &cell) {
		cell.Table = t
		return err
	}
	if cause != nil && !errors.Is(cause, errAborted) {
		return cause
	}
	return err
}

// carry runs the statements from the stage into the table, and the lists, in one round trip; it returns the keys of the
// rows that were in the way.
func (s *session) carry(ctx context.Context, st *stage, d driver.Delta) (*row.Batch, error) {
	b := &pgconn.Batch{}
	add := func(sql string, params ...[]byte) { b.ExecParams(sql, params, nil, nil, nil) }
	add(st.remove)
	for _, sql := range st.displace {
		b.ExecParams(sql, nil, nil, nil, formats(st.keys))
	}
	if d.Images != nil && d.Images.Len() > 0 {
		add(st.write)
	}
	if d.Mended != nil && d.Mended.Len() > 0 {
		add(strike, []byte(driver.Repairs), []byte(itoa(d.Table.Number)), []byte(i64(d.Stamp)), []byte(digests(d.Mended)))
	}
	if d.Note && d.Keys.Len() > 0 {
		add(put, putArgs(driver.Changed, d.Table, d.Keys)...)
	}
	displaced := row.NewBatch(len(st.keys))
	results := s.conn.ExecBatch(ctx, b)
	for place := 0; results.NextResult(); place++ {
		r := results.ResultReader()
		if place < 1 || place > len(st.displace) {
			_, _ = r.Close()
			continue
		}
		for r.NextRow() {
			if err := appendRow(displaced, st.keys, r.Values()); err != nil {
				return nil, errors.Join(err, results.Close())
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
		r := s.conn.ExecParams(ctx, put, putArgs(driver.Repairs, t, parted), nil, nil, nil).Read()
		if r.Err != nil {
			return 0, s.explain(ctx, r.Err)
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
