package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// recorder reads the records. An entry is known by its ctid and its xmin: a place in the record is given to another entry
// only after Forget has removed the first, and that other one has another transaction. Both hold while the record's file is
// the one they were read from (VACUUM FULL writes another), which Forget asks in the same statement.
type recorder struct{ db *database }

const backlogQuery = `SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(noted)), 0)::float8 * 1000,
	pg_total_relation_size('%[1]s'), coalesce(bool_or(k1 IS NULL), false),
	(SELECT reltuples::float8 / greatest(relpages, 1) FROM pg_class WHERE oid = '%[1]s'::regclass), pg_relation_size('%[1]s') / 8192
	FROM (SELECT noted, k1 FROM %[1]s LIMIT 100001) AS e`

// Backlog says what a record holds.
func (r recorder) Backlog(ctx context.Context, t *schema.Table) (driver.Backlog, error) {
	l, err := r.db.keeper(ctx)
	if err != nil {
		return driver.Backlog{}, err
	}
	defer l.release()
	got, err := l.query(ctx, fmt.Sprintf(backlogQuery, record(t)))
	if err != nil {
		return driver.Backlog{}, fmt.Errorf("read the backlog of %s: %w", t.Name, err)
	}
	v := got.Rows[0]
	b := driver.Backlog{Entries: number(v[0]), Bytes: number(v[2]), Truncated: v[3][0] == 't'}
	b.Oldest = time.Duration(decimalOf(v[1]) * float64(time.Millisecond))
	if b.Entries > 100000 {
		b.Entries = max(b.Entries, int64(decimalOf(v[4])*decimalOf(v[5])))
	}
	return b, nil
}

func decimalOf(text []byte) float64 {
	f, _ := strconv.ParseFloat(string(text), 64)
	return f
}

// Number returns the last batch forgotten in a lane.
func (r recorder) Number(ctx context.Context, t *schema.Table, lane int) (int64, error) {
	l, err := r.db.keeper(ctx)
	if err != nil {
		return 0, err
	}
	defer l.release()
	got, err := l.query(ctx, "SELECT number FROM whimbrel_source.lane WHERE table_no = $1 AND lane = $2", itoa(t.Number), itoa(lane))
	if err != nil {
		return 0, fmt.Errorf("read the number of lane %d of %s: %w", lane, t.Name, err)
	}
	if len(got.Rows) == 0 {
		return 0, nil
	}
	return number(got.Rows[0][0]), nil
}

// takeBytes is about how many bytes of rows one Take reads, takeKeys the most keys that one statement asks for.
const (
	takeBytes = 16 << 20
	takeKeys  = 5000
)

// Take reads entries in one statement, and then, with one later snapshot, the rows of their keys and of want.Also.
func (r recorder) Take(ctx context.Context, want driver.Want, keys, images *row.Batch) (driver.Receipt, error) {
	l, err := r.db.worker(ctx)
	if err != nil {
		return nil, err
	}
	got := &receipt{lease: l, want: want}
	first, read := keys.Len(), 0
	places, err := got.entries(ctx, r.db, keys)
	if err == nil && keys.Len() > first {
		read, err = got.images(ctx, keys, first, images)
	}
	got.keep(places, read)
	keys.Truncate(first + read)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("take entries of %s: %w", want.Table.Name, err), got.Close())
	}
	return got, nil
}

// images appends the rows of the keys from first on as they are in one snapshot, a part of them at a time, until they are read
// or large enough, and returns for how many keys that is.
func (r *receipt) images(ctx context.Context, keys *row.Batch, first int, images *row.Batch) (read int, err error) {
	const begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
	before, total := images.Size(), keys.Len()-first
	err = r.lease.exec(ctx, begin)
	for part := 64; err == nil && read < total && images.Size()-before < takeBytes; {
		part = min(part, total-read)
		err = r.part(ctx, keys, first+read, part, images, before+2*takeBytes)
		switch {
		case errors.Is(err, errLarge) && read > 0:
			return read, r.change(ctx)
		case errors.Is(err, errLarge):
			part = 1
			if err = r.change(ctx); err == nil {
				err = r.lease.exec(ctx, begin)
			}
		case err == nil:
			read += part
			size := images.Size() - before
			part = max(min(takeKeys, (takeBytes-size)/(size/read+1)), 1)
		}
	}
	if err == nil {
		err = r.lease.exec(ctx, "COMMIT")
	}
	return read, err
}

var errLarge = errors.New("the rows are larger than those before") // never leaves the package

// part appends the rows of n keys. Rows of several keys that grow past a size are given up with errLarge, and with them the
// session.
func (r *receipt) part(ctx context.Context, keys *row.Batch, from, n int, images *row.Batch, most int) error {
	some := keys
	if from > 0 || n < keys.Len() {
		some = row.NewBatch(keys.Width())
		for i := range n {
			if err := some.AppendRow(keys.Row(from + i)); err != nil {
				return err
			}
		}
	}
	c, err := r.lease.db.cursor(r.lease.session, driver.Query{Table: r.want.Table, Shape: r.want.Shape, Keys: some})
	if err != nil {
		return err
	}
	defer c.finish()
	if n == 1 {
		most = math.MaxInt
	}
	start := images.Len()
	switch err := c.fill(ctx, images, math.MaxInt, most); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	images.Truncate(start)
	return errLarge
}

// change gives the session up for another: a receipt needs no certain one.
func (r *receipt) change(ctx context.Context) error {
	r.lease.drop()
	l, err := r.lease.db.worker(ctx)
	if err == nil {
		r.lease = l
	}
	return err
}

// receipt is what one Take read.
type receipt struct {
	lease   *lease
	want    driver.Want
	places  []byte // ctids and xmins as the text of arrays
	makers  []byte
	file    string // the record's file
	count   int
	emptied bool
}

// entry is one line of the record: its place, its transaction, and the place of its key; -1 for the note that the table was
// emptied.
type entry struct {
	place, maker string
	key          int
}

// entries reads the record and adds each key once, those of want.Also after them.
func (r *receipt) entries(ctx context.Context, db *database, keys *row.Batch) ([]entry, error) {
	known := knownKeys{keys: keys, first: keys.Len(), at: map[string]int{}}
	var found []entry
	if r.want.Most > 0 {
		shape := r.want.Shape.Keys()
		all := db.codecs(shape)
		sql, columns := r.sql(shape)
		rows := r.lease.conn.ExecParams(ctx, sql, nil, nil, nil, append([]int16{0, 0, 0}, formats(all)...))
		one := row.NewBatch(columns)
		var failed error
		for rows.NextRow() {
			if failed == nil {
				var e entry
				e, failed = r.entry(rows.Values(), all, one, &known)
				found = append(found, e)
			}
		}
		if _, err := rows.Close(); err != nil || failed != nil {
			return nil, errors.Join(r.lease.explain(ctx, err), failed)
		}
	}
	if r.want.Also == nil {
		return found, nil
	}
	for i := range r.want.Also.Len() {
		if _, err := known.add(r.want.Also.Row(i)); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// knownKeys are the keys of a batch from first on, with their places from there.
type knownKeys struct {
	keys  *row.Batch
	first int
	at    map[string]int
}

func (k *knownKeys) add(run []byte) (int, error) {
	if at, ok := k.at[string(run)]; ok {
		return at, nil
	}
	at := k.keys.Len() - k.first
	k.at[string(run)] = at
	return at, k.keys.AppendRow(run)
}

// entry takes one line of the record: its place, its transaction, the record's file, and the key.
func (r *receipt) entry(fields [][]byte, all []codec, one *row.Batch, known *knownKeys) (entry, error) {
	e := entry{place: string(fields[0]), maker: string(fields[1]), key: -1}
	r.file = string(fields[2])
	if fields[3] == nil {
		return e, nil
	}
	one.Reset()
	err := appendRow(one, all, fields[3:])
	if err == nil {
		e.key, err = known.add(one.Row(0))
	}
	return e, err
}

// keep makes the receipt stand for the entries of the first keys, and for notes that the table was emptied.
func (r *receipt) keep(found []entry, keys int) {
	r.places, r.makers = []byte{'{'}, []byte{'{'}
	for _, e := range found {
		if e.key >= keys {
			continue
		}
		if r.count > 0 {
			r.places, r.makers = append(r.places, ','), append(r.makers, ',')
		}
		r.places = append(append(append(r.places, '"'), e.place...), '"')
		r.makers = append(r.makers, e.maker...)
		r.count++
		r.emptied = r.emptied || e.key < 0
	}
	r.places, r.makers = append(r.places, '}'), append(r.makers, '}')
}

// sql plans the reading of entries; a lane's are those whose key hashes to it. The note that the table was emptied belongs
// to lane 0.
func (r *receipt) sql(shape schema.Shape) (string, int) {
	names, hashes := make([]string, shape.Width()), make([]string, shape.Width())
	for i, c := range shape.Columns {
		names[i] = "k" + itoa(i+1)
		hashes[i] = "hashtext(" + names[i] + "::text)"
		switch plain(c.Column.Type.Raw) {
		case "numeric":
			hashes[i] = "hash_numeric(" + names[i] + ")"
		case "bpchar":
			hashes[i] = "hashbpchar(" + names[i] + ")"
		}
	}
	name := record(r.want.Table)
	sql := "SELECT ctid, xmin, pg_relation_filenode('" + name + "'), " + strings.Join(names, ", ") + " FROM " + name
	if r.want.Lanes > 1 {
		sql += fmt.Sprintf(" WHERE coalesce(((%s)::bigint & 2147483647) %% %d, 0) = %d",
			strings.Join(hashes, " # "), r.want.Lanes, r.want.Lane)
	}
	return sql + " LIMIT " + itoa(r.want.Most), len(names)
}

// Entries is how many entries the receipt covers.
func (r *receipt) Entries() int { return r.count }

// Emptied reports whether one notes that the table was emptied.
func (r *receipt) Emptied() bool { return r.emptied }

// Durable waits for the source's disk.
func (r *receipt) Durable(ctx context.Context) error {
	if r.lease.held == nil {
		return errors.New("durable: the receipt is closed")
	}
	return r.lease.durable(ctx)
}

// Forget removes exactly the entries and writes the number.
func (r *receipt) Forget(ctx context.Context, number int64) error {
	if r.lease.held == nil {
		return errors.New("forget: the receipt is closed")
	}
	err := r.forget(ctx, number)
	if err != nil {
		r.lease.rollback(ctx)
		return fmt.Errorf("forget batch %d of %s: %w", number, r.want.Table.Name, err)
	}
	return nil
}

func (r *receipt) forget(ctx context.Context, number int64) error {
	t := r.want.Table
	if err := r.lease.exec(ctx, "BEGIN"); err != nil {
		return err
	}
	if r.count > 0 {
		sql := `DELETE FROM ` + record(t) + ` AS r USING unnest($1::tid[], $2::xid[]) AS u(place, maker)
			WHERE r.ctid = u.place AND r.xmin = u.maker AND pg_relation_filenode('` + record(t) + `') = $3::oid`
		got, err := r.lease.query(ctx, sql, string(r.places), string(r.makers), r.file)
		if err != nil {
			return err
		}
		if n := got.CommandTag.RowsAffected(); n != int64(r.count) {
			return &failure{class: driver.Transient, err: fmt.Errorf("%d of %d entries are where they were read; take them again", n, r.count)}
		}
	}
	const lane = `INSERT INTO whimbrel_source.lane (table_no, lane, number) VALUES ($1, $2, $3)
		ON CONFLICT (table_no, lane) DO UPDATE SET number = EXCLUDED.number WHERE lane.number <= EXCLUDED.number`
	got, err := r.lease.query(ctx, lane, itoa(t.Number), itoa(r.want.Lane), i64(number))
	if err != nil {
		return err
	}
	if got.CommandTag.RowsAffected() != 1 {
		return errors.New("a later batch has been forgotten already")
	}
	if err := r.lease.commit(ctx); err != nil {
		return err
	}
	r.count, r.emptied = 0, false
	return nil
}

// Close gives the session back.
func (r *receipt) Close() error {
	r.lease.rollback(context.Background())
	r.lease.release()
	return nil
}
