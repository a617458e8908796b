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

// takeBytes is about how many bytes of rows one Take reads: what is left waits for the next.
const takeBytes = 16 << 20

// Take reads entries, and in the same snapshot the rows of their keys and of want.Also. Were the rows of a later one, an earlier
// process that has slept might forget entries in between, and their keys would look as if they had no row.
func (d recorder) Take(ctx context.Context, want driver.Want, keys, images *row.Batch) (driver.Receipt, error) {
	after, err := beyondOf(want)
	if err != nil {
		return nil, fmt.Errorf("take changes of %s: %w", want.Table.Name, err)
	}
	l, err := d.work.take(ctx)
	if err != nil {
		return nil, err
	}
	k := d.newTake(l, want, keys, images)
	k.after = after
	if k.walked = cascaded(want.Table) && want.Most > 0; k.walked {
		err = k.sweep(ctx)
	}
	if err == nil {
		err = k.begin(ctx)
	}
	if err == nil {
		err = k.entries(ctx)
	}
	if err == nil {
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

func (d recorder) newTake(l *lease, want driver.Want, keys, images *row.Batch) *take {
	return &take{
		d: d.database, want: want, receipt: &receipt{lease: l, d: d.database, want: want}, cells: newCells(want.Table, want.Shape),
		keys: keys, images: images, first: keys.Len(), before: images.Size(), places: map[[16]byte]int{},
	}
}

type take struct {
	d            *database
	want         driver.Want
	receipt      *receipt
	cells        *cells
	keys, images *row.Batch
	after        uint64           // the number of the last entry that is left out
	walked       bool             // foreign keys change rows of the table, helpers note them, and entries may wait (walk.go)
	due          uint64           // those that wait for a mark before this one are due
	open         marks            // of transactions that were open when the rows were read
	first        int              // where our keys begin
	before       int              // the size of images before
	places       map[[16]byte]int // the keys' places from first on
	found        []found          // by their numbers
	done         []bool           // by the keys' places: the row was read, or is not there
	key          []byte
}

// found is an entry and the place of its key.
type found struct {
	seq   uint64
	place int
	walk  uint64 // the mark that it waited for; 0 for none
}

// beyondOf returns the number of the last entry that a Take leaves out.
func beyondOf(want driver.Want) (uint64, error) {
	if want.Beyond == nil {
		return 0, nil
	}
	earlier, ours := want.Beyond.(*receipt)
	if !ours {
		return 0, errors.New("the receipt to go beyond is not this driver's")
	}
	return earlier.last, nil
}

// lane is a condition on entries; true where there is one lane.
func (k *take) lane() string {
	if k.want.Lanes <= 1 {
		return "TRUE"
	}
	return laneHash(keyColumns(k.want.Shape)) + " % " + strconv.Itoa(k.want.Lanes) + " = " + strconv.Itoa(k.want.Lane)
}

// query is the statement that reads entries.
func (k *take) query(entry *cells) string {
	due := ""
	if k.walked {
		due = " AND (l.walk IS NULL OR l.walk < " + strconv.FormatUint(k.due, 10) + ")"
	}
	return "SELECT " + entry.exprs("l") + " FROM " + k.d.record(k.want.Table) + " l WHERE l.seq > " + strconv.FormatUint(k.after, 10) + due +
		" AND " + k.lane() + " ORDER BY l.seq LIMIT " + strconv.Itoa(k.want.Most)
}

// sweep removes old marks and finds which entries that wait are due.
func (k *take) sweep(ctx context.Context) error {
	s := k.receipt.session
	if err := k.d.sweep(ctx, s, k.want.Table); err != nil {
		return err
	}
	m, err := k.d.open(ctx, s, k.want.Table)
	k.due = m.first
	return err
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

// entryShape is the record's own columns: the number, and the key's; and the mark that an entry waits for where the table has one.
func (k *take) entryShape() schema.Shape {
	e := entryShape(k.want.Shape)
	if k.walked {
		mark := &schema.Column{Name: "walk", Null: true, Type: schema.Type{Kind: row.Int, Precision: 64, Unsigned: true, Raw: "bigint unsigned"}}
		e.Columns = append(e.Columns, schema.ShapeColumn{Column: mark, Cell: row.Int})
	}
	return e
}

func entryShape(s schema.Shape) schema.Shape {
	number := &schema.Column{Name: "seq", Type: schema.Type{Kind: row.Int, Precision: 64, Unsigned: true, Raw: "bigint unsigned"}}
	e := schema.Shape{Columns: []schema.ShapeColumn{{Column: number, Cell: row.Int}}}
	for i, col := range s.Keys().Columns {
		c := *col.Column
		c.Name = keyName(i)
		col.Column = &c
		e.Columns = append(e.Columns, col)
		e.Key = append(e.Key, i+1)
	}
	return e
}

// entries reads the record, and adds each key once.
func (k *take) entries(ctx context.Context) error {
	if k.want.Most <= 0 {
		return nil
	}
	shape := k.entryShape()
	entry, line := newCells(k.want.Table, shape), row.NewBatch(shape.Width())
	return k.each(ctx, k.query(entry), entry, line, func() error {
		seq, err := strconv.ParseUint(string(line.Cell(0, 0)), 10, 64)
		if err != nil {
			return fmt.Errorf("read an entry's number: %w", err)
		}
		f := found{seq: seq}
		if k.walked && line.Cell(0, line.Width()-1) != nil {
			if f.walk, err = strconv.ParseUint(string(line.Cell(0, line.Width()-1)), 10, 64); err != nil {
				return fmt.Errorf("read the mark that an entry waits for: %w", err)
			}
		}
		k.key = line.AppendKey(k.key[:0], 0, shape.Key)
		line.Reset()
		f.place, err = k.place(k.key)
		k.found = append(k.found, f)
		return err
	})
}

// place returns the place of a key, which it adds where it was not there yet.
func (k *take) place(key []byte) (int, error) {
	digest := row.Seed(0).Digest(key)
	at, ok := k.places[digest]
	if !ok {
		at = k.keys.Len() - k.first
		k.places[digest] = at
		return at, k.keys.AppendRow(key)
	}
	return at, nil
}

// also adds the further keys.
func (k *take) also() error {
	if k.want.Also == nil {
		return nil
	}
	for i := range k.want.Also.Len() {
		if _, err := k.place(k.want.Also.Row(i)); err != nil {
			return err
		}
	}
	return nil
}

// each runs a query and calls do after each row that it has added to the batch. An error of do ends the session, rows that
// nobody will read and all.
func (k *take) each(ctx context.Context, sql string, c *cells, b *row.Batch, do func() error) error {
	s := k.receipt.session
	if err := s.query(ctx, sql, len(c.ops)); err != nil {
		return err
	}
	defer s.watch(ctx)()
	for {
		err := s.wire.next(c, b)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			b.Abandon()
		} else {
			err = do()
		}
		if err != nil {
			s.kill()
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return err
		}
	}
}

// rows reads the rows of the keys and ends the snapshot. Where they are larger than was to be expected, some are left: these are
// taken out of the keys, and their entries are not the receipt's.
func (k *take) rows(ctx context.Context) error {
	k.done = make([]bool, k.keys.Len()-k.first)
	err := k.ofEntries(ctx)
	if err == nil {
		err = k.ofOthers(ctx)
	}
	if errors.Is(err, errLarge) {
		err = k.change(ctx)
	}
	k.receipt.rollback()
	return errors.Join(err, k.keep())
}

// begin begins the one snapshot that entries and rows are of. Marks that are there right after it may
// belong to transactions that were open at that moment; those that were not are gone, or were made later.
func (k *take) begin(ctx context.Context) error {
	if !k.walked {
		return k.snapshot(ctx)
	}
	k.d.walks.RLock()
	defer k.d.walks.RUnlock()
	if err := k.snapshot(ctx); err != nil {
		return err
	}
	return k.d.control.with(ctx, func(s *session) (err error) {
		k.open, err = k.d.open(ctx, s, k.want.Table)
		return err
	})
}

func (k *take) snapshot(ctx context.Context) error {
	for _, sql := range []string{"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION WITH CONSISTENT SNAPSHOT"} {
		if err := k.receipt.run(ctx, sql); err != nil {
			return err
		}
	}
	k.receipt.open = true
	return nil
}

// fewRows is how many entries' rows are read first, to learn how large they are.
const fewRows = 32

// ofEntries reads the rows of the entries' keys by joining the record to the table: first a few, then as many more as will be
// large enough together.
func (k *take) ofEntries(ctx context.Context) error {
	part := fewRows
	if len(k.done) <= fewRows {
		part = len(k.found) // the same few keys all along
	}
	for from := 0; from < len(k.found) && k.size() < takeBytes; part = k.room() {
		some := k.found[from:min(from+part, len(k.found))]
		if err := k.each(ctx, k.join(some), k.cells, k.images, k.sort); err != nil {
			return err
		}
		for _, f := range some {
			k.done[f.place] = true
		}
		from += len(some)
	}
	return nil
}

// join is the query for the rows of a stretch of entries. Each key is looked up once, in the order of the table. Entries that
// wait for a mark may stand in between and add rows: nobody asked for these, and their entries stay.
func (k *take) join(some []found) string {
	t, key := k.want.Table, keyColumns(k.want.Shape)
	var columns, on []string
	for i, c := range key {
		columns = append(columns, keyName(i))
		on = append(on, "t."+quote(c.name)+" = l."+keyName(i))
	}
	names := strings.Join(columns, ", ")
	return "SELECT " + k.cells.exprs("t") + " FROM (SELECT DISTINCT " + names + " FROM " + k.d.record(t) +
		" WHERE seq BETWEEN " + strconv.FormatUint(some[0].seq, 10) + " AND " + strconv.FormatUint(some[len(some)-1].seq, 10) +
		" AND " + k.lane() + " ORDER BY " + names + " LIMIT 18446744073709551615) l STRAIGHT_JOIN " +
		strings.TrimPrefix(k.d.along(t, key), " FROM ") + " ON " + strings.Join(on, " AND ")
}

// ofOthers reads the rows of the keys that no entry names.
func (k *take) ofOthers(ctx context.Context) error {
	key, some := keyColumns(k.want.Shape), row.NewBatch(len(k.want.Shape.Key))
	read := "SELECT " + k.cells.exprs("t") + k.d.along(k.want.Table, key) + " WHERE "
	part := fewRows
	for from := 0; from < len(k.done) && k.size() < takeBytes; part = min(k.room(), keysAtOnce) {
		var places []int
		for some.Reset(); from < len(k.done) && len(places) < part; from++ {
			if k.done[from] {
				continue
			}
			places = append(places, from)
			if err := some.AppendRow(k.keys.Row(k.first + from)); err != nil {
				return err
			}
		}
		if len(places) == 0 {
			return nil
		}
		if err := k.each(ctx, read+among(key, some, 0, some.Len()), k.cells, k.images, k.sort); err != nil {
			return err
		}
		for _, at := range places {
			k.done[at] = true
		}
	}
	return nil
}

var errLarge = errors.New("the rows are larger than those before") // never leaves the package

// sort keeps the row that was added last if its key is byte for byte one asked for (HAZARDS C10), and was not read yet.
func (k *take) sort() error {
	last := k.images.Len() - 1
	k.key = k.images.AppendKey(k.key[:0], last, k.want.Shape.Key)
	at, ok := k.places[row.Seed(0).Digest(k.key)]
	if !ok || k.done[at] {
		k.images.Truncate(last)
		return nil
	}
	k.done[at] = true
	if k.size() > 2*takeBytes {
		return errLarge
	}
	return nil
}

// await has an entry read once more if its row may have been changed by a transaction that was open: any, or, where it waited
// for a mark, one with that mark or an earlier one.
func (k *take) await(f found) {
	if k.open.last > 0 && (f.walk == 0 || k.open.first <= f.walk) {
		k.receipt.again, k.receipt.mark = append(k.receipt.again, f.seq), k.open.last
	}
}

func (k *take) size() int { return k.images.Size() - k.before }

// room is how many more rows will be large enough together, if they are as large as those before.
func (k *take) room() int {
	read := 1
	for _, done := range k.done {
		if done {
			read++
		}
	}
	return max((takeBytes-k.size())/(k.size()/read+1), 1)
}

// change ends the session, rows that nobody will read and all, for another.
func (k *take) change(ctx context.Context) error {
	k.receipt.back()
	l, err := k.d.work.take(ctx)
	if err == nil {
		k.receipt.lease = l
	}
	return err
}

// keep takes the keys out whose rows were not read. The receipt is of the others' entries.
func (k *take) keep() error {
	k.receipt.seqs, k.receipt.last = make([]uint64, 0, len(k.found)), 0
	for _, f := range k.found {
		if k.done[f.place] {
			k.receipt.seqs = append(k.receipt.seqs, f.seq)
			k.receipt.last = f.seq
			k.await(f)
		}
	}
	if k.receipt.cut = slices.Contains(k.done, false); !k.receipt.cut {
		return nil
	}
	some := row.NewBatch(k.keys.Width())
	for at, done := range k.done {
		if !done {
			continue
		}
		if err := some.AppendRow(k.keys.Row(k.first + at)); err != nil {
			return err
		}
	}
	k.keys.Truncate(k.first)
	for i := range some.Len() {
		if err := k.keys.AppendRow(some.Row(i)); err != nil {
			return err
		}
	}
	return nil
}
