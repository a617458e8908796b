package mysql

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// recorder reads the records.
type recorder struct{ *database }

// takeBytes bounds what one Take holds in memory: beyond it, the entries that are left wait for the next.
const takeBytes = 64 << 20

// Backlog counts a record's entries up to 100,000 and estimates beyond.
func (d recorder) Backlog(ctx context.Context, t *schema.Table) (b driver.Backlog, err error) {
	err = d.control.with(ctx, func(s *session) error {
		record := d.record(t)
		sizes, err := s.row(ctx, "SELECT table_rows, data_length + index_length FROM information_schema.tables WHERE table_schema = ? AND table_name = ?",
			d.schema, "whimbrel_source_record_"+strconv.Itoa(t.Number))
		if err != nil {
			return err
		}
		b.Bytes, _ = strconv.ParseInt(sizes[1], 10, 64)
		count, err := s.row(ctx, "SELECT COUNT(*) FROM (SELECT 1 FROM "+record+" LIMIT 100001) x")
		if err != nil {
			return err
		}
		if b.Entries, _ = strconv.ParseInt(count[0], 10, 64); b.Entries > 100000 {
			estimate, _ := strconv.ParseInt(sizes[0], 10, 64)
			b.Entries = max(b.Entries, estimate)
		}
		oldest, err := s.rows(ctx, "SELECT TIMESTAMPDIFF(SECOND, at, NOW()) FROM "+record+" ORDER BY seq LIMIT 1")
		if err == nil && len(oldest) == 1 {
			age, _ := strconv.ParseInt(oldest[0][0], 10, 64)
			b.Oldest = max(time.Duration(age)*time.Second, time.Millisecond)
		}
		return err
	})
	if err != nil {
		return b, fmt.Errorf("read the backlog of %s: %w", t.Name, err)
	}
	return b, nil
}

// Number returns the last batch forgotten in a lane.
func (d recorder) Number(ctx context.Context, t *schema.Table, lane int) (int64, error) {
	return d.laneNumber(ctx, t, lane, "")
}

// Take reads entries and rows in one statement, and so in one snapshot.
func (d recorder) Take(ctx context.Context, want driver.Want, keys, images *row.Batch) (driver.Receipt, error) {
	l, err := d.work.take(ctx)
	if err != nil {
		return nil, err
	}
	k := &take{d: d.database, want: want, receipt: &receipt{lease: l, d: d.database, want: want}, keys: keys, images: images, seen: map[[16]byte]bool{}}
	if err = k.entries(ctx); err == nil {
		err = k.also(ctx)
	}
	if err != nil {
		l.back()
		return nil, fmt.Errorf("take changes of %s: %w", want.Table.Name, err)
	}
	return k.receipt, nil
}

type take struct {
	d            *database
	want         driver.Want
	receipt      *receipt
	keys, images *row.Batch
	seen         map[[16]byte]bool // the keys taken
	run          []byte
}

// query is the statement of Take. Entries of one key are numbered, so that its row is read once.
func (k *take) query(entry, image *cells) string {
	key := keyColumns(k.want.Shape)
	var columns, bytes, join []string
	for i, c := range key {
		n := keyName(i)
		columns = append(columns, n)
		bytes = append(bytes, "CAST("+n+" AS BINARY)")
		join = append(join, "t."+quote(c.name)+" = l."+n)
	}
	lane := ""
	if k.want.Lanes > 1 {
		lane = " WHERE " + laneHash(key) + " % " + strconv.Itoa(k.want.Lanes) + " = " + strconv.Itoa(k.want.Lane)
	}
	names := strings.Join(columns, ", ")
	return "SELECT l.seq, l.copy, t." + quote(key[0].name) + " IS NOT NULL, " + entry.exprs("l") + ", " + image.exprs("t") +
		" FROM (SELECT seq, " + names + ", ROW_NUMBER() OVER (PARTITION BY " + strings.Join(bytes, ", ") + " ORDER BY seq) AS copy FROM (SELECT seq, " +
		names + " FROM " + k.d.record(k.want.Table) + lane + " ORDER BY seq LIMIT " + strconv.Itoa(k.want.Most) + ") e) l LEFT JOIN " +
		k.d.dialect.name(k.want.Table.Name) + " t ON l.copy = 1 AND " + strings.Join(join, " AND ")
}

// laneHash maps keys that are equal under the table's collations to one lane, as a target of the same product would
// find them equal; byte-equal keys are among them.
func laneHash(key []keyColumn) string {
	parts := make([]string, len(key))
	for i, c := range key {
		parts[i] = "HEX(" + keyName(i) + ")"
		if c.typ.Charset != "" && !c.typ.Binary {
			parts[i] = "HEX(WEIGHT_STRING(RTRIM(" + keyName(i) + ")))"
		}
	}
	return "CRC32(CONCAT_WS(',', " + strings.Join(parts, ", ") + "))"
}

// entryShape is the key's shape over the record's own columns.
func entryShape(s schema.Shape) schema.Shape {
	e := s.Keys()
	for i := range e.Columns {
		c := *e.Columns[i].Column
		c.Name = keyName(i)
		e.Columns[i].Column = &c
	}
	return e
}

func (k *take) entries(ctx context.Context) error {
	if k.want.Most <= 0 {
		return nil
	}
	entry, image := newCells(k.want.Table, entryShape(k.want.Shape)), newCells(k.want.Table, k.want.Shape)
	r, err := k.receipt.conn.QueryContext(ctx, k.query(entry, image), nil)
	if err != nil {
		return err
	}
	defer r.Close()
	values := make([]sqldriver.Value, 3+len(entry.values)+len(image.values))
	copies := map[uint64][16]byte{}
	for k.images.Size()+k.keys.Size() < takeBytes {
		if err := r.Next(values); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		if err := k.entry(entry, image, values, copies); err != nil {
			return err
		}
	}
	for seq, digest := range copies {
		if k.seen[digest] {
			k.receipt.seqs = append(k.receipt.seqs, seq)
		}
	}
	return r.Close()
}

// entry takes one line of the statement. An entry that is a copy of another counts only if that one was taken.
func (k *take) entry(entry, image *cells, values []sqldriver.Value, copies map[uint64][16]byte) error {
	seq, err := strconv.ParseUint(asText(values[0]), 10, 64)
	if err != nil {
		return fmt.Errorf("read an entry's number: %w", err)
	}
	width := len(entry.values)
	if err := entry.append(k.keys, values[3:3+width]); err != nil {
		k.keys.Abandon()
		return err
	}
	last := k.keys.Len() - 1
	digest := row.Seed(0).Digest(k.keys.Row(last))
	if asText(values[1]) != "1" {
		k.keys.Truncate(last)
		copies[seq] = digest
		return nil
	}
	k.seen[digest] = true
	k.receipt.seqs = append(k.receipt.seqs, seq)
	if asText(values[2]) != "1" {
		return nil
	}
	if err := image.append(k.images, values[3+width:]); err != nil {
		k.images.Abandon()
		return err
	}
	at := k.images.Len() - 1
	k.run = k.images.AppendKey(k.run[:0], at, k.want.Shape.Key)
	if string(k.run) != string(k.keys.Row(last)) {
		k.images.Truncate(at) // another row, which the collation finds equal (HAZARDS C10)
	}
	return nil
}

// also reads the rows of further keys, later in the same session.
func (k *take) also(ctx context.Context) error {
	if k.want.Also == nil {
		return nil
	}
	more := row.NewBatch(k.want.Also.Width())
	for i := range k.want.Also.Len() {
		run := k.want.Also.Row(i)
		digest := row.Seed(0).Digest(run)
		if k.seen[digest] {
			continue
		}
		k.seen[digest] = true
		if err := errors.Join(more.AppendRow(run), k.keys.AppendRow(run)); err != nil {
			return err
		}
	}
	c := &cursor{
		lease: &lease{session: k.receipt.session}, ctx: ctx, d: k.d, cells: newCells(k.want.Table, k.want.Shape), wanted: map[[16]byte]struct{}{},
		q: driver.Query{Table: k.want.Table, Shape: k.want.Shape, Keys: more},
	}
	for i := range more.Len() {
		c.wanted[row.Seed(0).Digest(more.Row(i))] = struct{}{}
	}
	rows := row.NewBatch(k.want.Shape.Width())
	for {
		rows.Reset()
		err := c.fill(rows)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		for i := range rows.Len() {
			if err := k.images.AppendRow(rows.Row(i)); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
	}
}

// receipt is the entries of one Take and the session that read them.
type receipt struct {
	*lease
	d    *database
	want driver.Want
	seqs []uint64
}

// Entries is how many there are.
func (r *receipt) Entries() int { return len(r.seqs) }

// Emptied is always false: TRUNCATE leaves no note here, the Watcher sees it.
func (r *receipt) Emptied() bool { return false }

// Durable waits for the server's log.
func (r *receipt) Durable(ctx context.Context) error {
	if r.resource == nil {
		return errors.New("the receipt is closed")
	}
	return r.d.durable(ctx, r.session)
}

// Forget deletes exactly the entries by their numbers, all of which are there, so that no gap is locked (HAZARDS 78).
func (r *receipt) Forget(ctx context.Context, number int64) error {
	if r.resource == nil {
		return errors.New("the receipt is closed")
	}
	t := r.want.Table
	err := r.transact(ctx, func() error {
		for first := 0; first < len(r.seqs); first += 1000 {
			part := r.seqs[first:min(first+1000, len(r.seqs))]
			sql := []byte("DELETE FROM " + r.d.record(t) + " WHERE seq IN (")
			for i, seq := range part {
				if i > 0 {
					sql = append(sql, ',')
				}
				sql = strconv.AppendUint(sql, seq, 10)
			}
			gone, err := r.exec(ctx, string(append(sql, ')')))
			if err == nil && gone != int64(len(part)) {
				err = &waitError{fmt.Sprintf("%d of %d entries were there; take them again", gone, len(part))}
			}
			if err != nil {
				return err
			}
		}
		return r.run(ctx, "INSERT INTO "+r.d.own("lane")+" (table_no, lane, number) VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE number = VALUES(number)",
			int64(t.Number), int64(r.want.Lane), number)
	})
	if err != nil {
		return fmt.Errorf("forget %d entries of %s: %w", len(r.seqs), t.Name, err)
	}
	return nil
}

// Close gives the session back.
func (r *receipt) Close() error {
	r.back()
	return nil
}
