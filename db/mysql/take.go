package mysql

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// takeBytes is about how many bytes of rows one Take reads: what is left waits for the next.
const takeBytes = 16 << 20

// Take reads entries, and then, in one later snapshot of the same session, the rows of their keys and of want.Also.
func (d recorder) Take(ctx context.Context, want driver.Want, keys, images *row.Batch) (driver.Receipt, error) {
	l, err := d.work.take(ctx)
	if err != nil {
		return nil, err
	}
	k := &take{
		d: d.database, want: want, receipt: &receipt{lease: l, d: d.database, want: want},
		keys: keys, images: images, first: keys.Len(), before: images.Size(), places: map[[16]byte]int{},
	}
	if err = k.entries(ctx); err == nil {
		err = k.also()
	}
	if err == nil {
		err = k.rows(ctx)
	}
	if err != nil {
		k.receipt.back()
		return nil, fmt.Errorf("take changes of %s: %w", want.Table.Name, err)
	}
	return k.receipt, nil
}

type take struct {
	d            *database
	want         driver.Want
	receipt      *receipt
	keys, images *row.Batch
	first        int              // where our keys begin
	before       int              // the size of images before
	places       map[[16]byte]int // the keys' places from first on
	found        []found
}

// found is an entry and the place of its key.
type found struct {
	seq   uint64
	place int
}

// query is the statement that reads entries.
func (k *take) query(entry *cells) string {
	sql := "SELECT l.seq, " + entry.exprs("l") + " FROM " + k.d.record(k.want.Table) + " l"
	if k.want.Lanes > 1 {
		sql += " WHERE " + laneHash(keyColumns(k.want.Shape)) + " % " + strconv.Itoa(k.want.Lanes) + " = " + strconv.Itoa(k.want.Lane)
	}
	return sql + " ORDER BY l.seq LIMIT " + strconv.Itoa(k.want.Most)
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

// entries reads the record, and adds each key once.
func (k *take) entries(ctx context.Context) error {
	if k.want.Most <= 0 {
		return nil
	}
	entry := newCells(k.want.Table, entryShape(k.want.Shape))
	r, err := k.receipt.conn.QueryContext(ctx, k.query(entry), nil)
	if err != nil {
		return err
	}
	defer r.Close()
	values := make([]sqldriver.Value, 1+len(entry.values))
	for {
		if err := r.Next(values); errors.Is(err, io.EOF) {
			return r.Close()
		} else if err != nil {
			return err
		}
		seq, err := strconv.ParseUint(asText(values[0]), 10, 64)
		if err != nil {
			return fmt.Errorf("read an entry's number: %w", err)
		}
		if err := entry.append(k.keys, values[1:]); err != nil {
			k.keys.Abandon()
			return err
		}
		k.found = append(k.found, found{seq, k.place()})
	}
}

// place returns the place of the key that was added last, and takes it back where it was there already.
func (k *take) place() int {
	last := k.keys.Len() - 1
	digest := row.Seed(0).Digest(k.keys.Row(last))
	if at, ok := k.places[digest]; ok {
		k.keys.Truncate(last)
		return at
	}
	k.places[digest] = last - k.first
	return last - k.first
}

// also adds the further keys.
func (k *take) also() error {
	if k.want.Also == nil {
		return nil
	}
	for i := range k.want.Also.Len() {
		if err := k.keys.AppendRow(k.want.Also.Row(i)); err != nil {
			return err
		}
		k.place()
	}
	return nil
}

var errLarge = errors.New("the rows are larger than those before") // never leaves the package

// rows reads the rows of the keys, a part of them at a time, until they are read or large enough. What was not read is taken
// out of the keys, and its entries are not the receipt's.
func (k *take) rows(ctx context.Context) error {
	read, err := 0, k.begin(ctx)
	for part := 32; err == nil && read < k.keys.Len()-k.first && k.size() < takeBytes; {
		part = min(part, k.keys.Len()-k.first-read)
		err = k.part(ctx, read, part)
		switch {
		case errors.Is(err, errLarge) && read > 0:
			return k.keep(read, k.change(ctx))
		case errors.Is(err, errLarge):
			part = 1
			if err = k.change(ctx); err == nil {
				err = k.begin(ctx)
			}
		case err == nil:
			read += part
			each := k.size()/read + 1
			part = max(min(keysAtOnce, (takeBytes-k.size())/each), 1)
		}
	}
	k.receipt.rollback()
	return k.keep(read, err)
}

func (k *take) size() int { return k.images.Size() - k.before }

// begin begins the one snapshot that all rows are of. It is later than the entries.
func (k *take) begin(ctx context.Context) error {
	for _, sql := range []string{"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION WITH CONSISTENT SNAPSHOT"} {
		if err := k.receipt.run(ctx, sql); err != nil {
			return err
		}
	}
	k.receipt.open = true
	return nil
}

// change ends the session, rows that nobody will read and all, for another.
func (k *take) change(ctx context.Context) error {
	k.receipt.kill()
	k.receipt.back()
	l, err := k.d.work.take(ctx)
	if err == nil {
		k.receipt.lease = l
	}
	return err
}

func (k *take) keep(read int, err error) error {
	k.keys.Truncate(k.first + read)
	for _, f := range k.found {
		if f.place < read {
			k.receipt.seqs = append(k.receipt.seqs, f.seq)
		}
	}
	return err
}

// part reads the rows of n keys. Rows of several keys that grow past twice the bound are given up with errLarge; the session
// is in the middle of them then.
func (k *take) part(ctx context.Context, from, n int) error {
	some := row.NewBatch(len(k.want.Shape.Key))
	c := &cursor{
		lease: &lease{session: k.receipt.session}, ctx: ctx, d: k.d, cells: newCells(k.want.Table, k.want.Shape), wanted: map[[16]byte]struct{}{},
		q: driver.Query{Table: k.want.Table, Shape: k.want.Shape, Keys: some},
	}
	for i := range n {
		run := k.keys.Row(k.first + from + i)
		c.wanted[row.Seed(0).Digest(run)] = struct{}{}
		if err := some.AppendRow(run); err != nil {
			return err
		}
	}
	start, rows := k.images.Len(), row.NewBatch(k.want.Shape.Width())
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
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case n > 1 && k.size() > 2*takeBytes:
			k.images.Truncate(start)
			return errLarge
		}
	}
}
