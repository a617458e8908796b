package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// recorder reads the records.
type recorder struct {
	db    *database
	marks *marks
}

// marks remember, for the lanes of this process, the page of the record where the entries end that were forgotten last. A
// Take begins there, and goes on at the record's first page when it comes to the last: it need not pass all the places of
// forgotten entries, which stay until a vacuum and, while somebody holds an old snapshot, longer. A mark is a hint only:
// wherever a Take begins, one that is shorter than it might be has read the whole record.
type marks struct {
	mu sync.Mutex
	at map[mark]uint32
}

type mark struct{ table, lane int }

func (m *marks) get(t *schema.Table, lane int) uint32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at[mark{t.Number, lane}]
}

func (m *marks) set(t *schema.Table, lane int, page uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at[mark{t.Number, lane}] = page
}

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

// promises is where the book has the batches that lane was promised: beside it, under numbers that no lane has.
func promises(lane int) int { return -1 - lane }

// Numbers returns what the book has of a lane.
func (r recorder) Numbers(ctx context.Context, t *schema.Table, lane int) (driver.Numbers, error) {
	l, err := r.db.keeper(ctx)
	if err != nil {
		return driver.Numbers{}, err
	}
	defer l.release()
	const query = `SELECT coalesce(max(number) FILTER (WHERE lane = $2), 0), coalesce(max(number) FILTER (WHERE lane = $3), 0),
			coalesce(max(promiser) FILTER (WHERE lane = $2), 0)
		FROM whimbrel_source.lane WHERE table_no = $1`
	got, err := l.query(ctx, query, itoa(t.Number), itoa(promises(lane)), itoa(lane))
	if err != nil {
		return driver.Numbers{}, fmt.Errorf("read the numbers of lane %d of %s: %w", lane, t.Name, err)
	}
	return driver.Numbers{Promised: number(got.Rows[0][0]), Forgotten: number(got.Rows[0][1]), By: number(got.Rows[0][2])}, nil
}

// takeBytes is about how many bytes of rows one Take reads, takeKeys the most keys that one statement asks for.
const (
	takeBytes = 16 << 20
	takeKeys  = 20000
)

// reading begins the transaction of a Take: one snapshot for entries and rows. The table is locked before the snapshot is
// taken: one that a rewrite (ALTER TYPE, pg_repack) made while we waited for its lock would look empty to an older
// snapshot, and every row of the batch gone. The record is read from a page on, and rows are
// looked up one by one in the order of their keys, which touches each page of index and table once: no plan that reads the
// whole of either is wanted, however small the server believes it to be.
func reading(table string) string {
	return "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; LOCK TABLE " + table + " IN ACCESS SHARE MODE; SET LOCAL enable_seqscan = off"
}

// lookups, in a transaction, forbids the plans that read a table to find a few of its rows.
const lookups = "; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"

// begin begins it. A key of a type that the product has not got itself may have no index that our comparison can use: then
// the server plans as it likes.
func (r *receipt) begin(ctx context.Context) error {
	begin := reading(r.lease.db.dialect().table(r.want.Table.Name))
	if builtin(r.want.Shape) {
		begin += lookups
	}
	return r.lease.exec(ctx, begin)
}

// builtin reports whether every column of the key is of one of the product's own types.
func builtin(s schema.Shape) bool {
	return !slices.ContainsFunc(s.Key, func(k int) bool {
		_, known := kinds[plain(s.Columns[k].Column.Type.Raw)]
		return !known
	})
}

// Take reads entries, sorted by key, and in the same snapshot the rows of their keys and of want.Also.
func (r recorder) Take(ctx context.Context, want driver.Want, keys, images *row.Batch) (driver.Receipt, error) {
	l, err := r.db.worker(ctx)
	if err != nil {
		return nil, err
	}
	got := &receipt{lease: l, want: want, marks: r.marks}
	first, read := keys.Len(), 0
	err = got.begin(ctx)
	if err == nil {
		err = got.entries(ctx, r.db, keys)
	}
	if err == nil {
		read, err = got.images(ctx, keys, first, images)
	}
	got.keep(read)
	got.cut = first+read < keys.Len()
	keys.Truncate(first + read)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("take entries of %s: %w", want.Table.Name, err), got.Close())
	}
	return got, nil
}

// images appends the rows of the keys from first on, a part of them at a time, until they are read or large enough, returns
// for how many keys that is, and ends the transaction.
func (r *receipt) images(ctx context.Context, keys *row.Batch, first int, images *row.Batch) (read int, err error) {
	before, total := images.Size(), keys.Len()-first
	for part := 64; err == nil && read < total && images.Size()-before < takeBytes; {
		part = min(part, total-read)
		err = r.part(ctx, keys, first+read, part, images, before+2*takeBytes)
		switch {
		case errors.Is(err, errLarge) && read > 0:
			return read, r.change(ctx)
		case errors.Is(err, errLarge):
			part = 1
			if err = r.change(ctx); err == nil {
				err = r.begin(ctx)
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
	c := r.rows(ctx, some)
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

// rows opens a cursor on the rows of these keys, which come in the keys' order. It differs from a Query with keys in that
// each key is there once.
func (r *receipt) rows(ctx context.Context, keys *row.Batch) *cursor {
	shape := r.want.Shape
	c := &cursor{session: r.lease.session, table: r.want.Table.Name, codecs: r.lease.db.codecs(shape)}
	names := make([]string, shape.Width())
	for i, column := range shape.Columns {
		names[i] = "t." + quote(column.Column.Name)
	}
	var q query
	columns, types := keyColumns(shape, "t."), keyTypes(shape)
	arrays, texts, values, match := make([]string, len(types)), make([]string, len(types)), make([]string, len(types)), make([]string, len(types))
	for i, at := range shape.Key {
		texts[i] = "k" + itoa(i)
		arrays[i] = q.param(textArray(keys, i, &c.codecs[at])) + "::text[]"
		values[i] = "CAST(u." + texts[i] + " AS " + types[i] + ")"
		match[i] = columns[i] + " = " + values[i]
	}
	if !bytewise(shape) {
		match = append(match, sameImage(columns, strings.Join(values, ", ")))
	}
	sql := "SELECT " + strings.Join(names, ", ") + " FROM unnest(" + strings.Join(arrays, ", ") + ") AS u(" + strings.Join(texts, ", ") +
		") JOIN " + r.lease.db.dialect().from(r.want.Table) + " AS t ON " + strings.Join(match, " AND ")
	c.ctx, c.cancel = context.WithCancelCause(ctx) // it ends before the caller's: the server may wait for a lock before the first row
	c.rows = r.lease.conn.ExecParams(c.ctx, sql, q.params, nil, nil, formats(c.codecs))
	return c
}

// bytewise reports whether every column of the key is of a type whose equal values are equal bytes, whatever the column is.
func bytewise(s schema.Shape) bool {
	return !slices.ContainsFunc(s.Key, func(k int) bool {
		switch plain(s.Columns[k].Column.Type.Raw) {
		case "smallint", "integer", "bigint", "oid", "boolean", "uuid", "bytea", "date":
			return false
		}
		return true
	})
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
