package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

type recorder struct{ d *database }

// takeBytes is about how many bytes of rows one Take reads: what is left waits for the next.
const takeBytes = 16 << 20

// exactly is how many entries a backlog is counted up to.
const exactly = 100_000

// Backlog says what a record holds.
func (r recorder) Backlog(ctx context.Context, t *schema.Table) (driver.Backlog, error) {
	var b driver.Backlog
	rec := recordName(t)
	err := r.d.read(ctx, r.d.control, func(s *session) error {
		err := s.one("SELECT count(*) FROM (SELECT 1 FROM "+rec+" LIMIT ?1)", func(st *sqlite3.Stmt) { b.Entries = st.ColumnInt64(0) }, number(exactly+1))
		if err != nil || b.Entries == 0 {
			return err
		}
		if b.Entries > exactly {
			err = s.one("SELECT (SELECT max(seq) FROM "+rec+") - (SELECT min(seq) FROM "+rec+") + 1",
				func(st *sqlite3.Stmt) { b.Entries = max(b.Entries, st.ColumnInt64(0)) })
			if err != nil {
				return err
			}
		}
		err = s.one("SELECT (julianday('now') - 2440587.5) * 86400 - at FROM "+rec+" ORDER BY seq LIMIT 1", func(st *sqlite3.Stmt) {
			b.Oldest = max(time.Duration(st.ColumnFloat(0)*float64(time.Second)), time.Nanosecond)
		})
		if err != nil {
			return err
		}
		return s.one("SELECT avg(coalesce(octet_length(k1), 0)) + 24 FROM (SELECT k1 FROM "+rec+" LIMIT 100)",
			func(st *sqlite3.Stmt) { b.Bytes = int64(st.ColumnFloat(0) * float64(b.Entries)) })
	})
	if err != nil {
		return b, fmt.Errorf("look at the record of %s: %w", t.Name, err)
	}
	return b, nil
}

// promises is where the book has the batches that a lane was promised: beside it, under numbers that no lane has.
func promises(lane int) int64 { return int64(-1 - lane) }

// Numbers returns what the book has of a lane.
func (r recorder) Numbers(ctx context.Context, t *schema.Table, lane int) (driver.Numbers, error) {
	var n driver.Numbers
	err := r.d.read(ctx, r.d.control, func(s *session) (err error) {
		if there, err := s.has("whimbrel_source_lane"); err != nil || !there {
			return err
		}
		n, err = s.numbers(t, lane)
		return err
	})
	if err != nil {
		return driver.Numbers{}, fmt.Errorf("read lane %d of %s: %w", lane, t.Name, err)
	}
	return n, nil
}

func (s *session) numbers(t *schema.Table, lane int) (n driver.Numbers, err error) {
	err = s.one("SELECT coalesce(max(number) FILTER (WHERE lane = ?2), 0), coalesce(max(number) FILTER (WHERE lane = ?3), 0),"+
		" coalesce(max(promiser) FILTER (WHERE lane = ?2), 0) FROM whimbrel_source_lane WHERE table_no = ?1", func(st *sqlite3.Stmt) {
		n = driver.Numbers{Promised: st.ColumnInt64(0), Forgotten: st.ColumnInt64(1), By: st.ColumnInt64(2)}
	}, number(int64(t.Number)), number(promises(lane)), number(int64(lane)))
	return n, err
}

// Take reads entries and the rows of their keys in one read transaction, which ends before Take returns: the receipt holds
// the session, not the snapshot, so that the application's log is not kept from being emptied while the target works.
func (r recorder) Take(ctx context.Context, w driver.Want, keys, images *row.Batch) (driver.Receipt, error) {
	s, err := r.d.take(ctx, r.d.work)
	if err != nil {
		return nil, fmt.Errorf("take from %s: %w", w.Table.Name, err)
	}
	rec := &receipt{d: r.d, s: s, table: w.Table, lane: w.Lane, epoch: w.Epoch}
	err = r.d.snapshot(ctx, s, func(*session) error {
		t := taking{s: s, want: w, most: images.Size() + takeBytes, columns: columnsOf(w.Shape), keys: keys, images: images, seen: keySet{keys: keys}, receipt: rec}
		err := t.all()
		rec.cut = images.Size() >= t.most
		return err
	})
	if err == nil {
		err = r.d.relieve(s)
	}
	if err != nil {
		keys.Abandon()
		images.Abandon()
		r.d.give(s)
		return nil, fmt.Errorf("take from %s: %w", w.Table.Name, err)
	}
	s.rest()
	return rec, nil
}

// taking is one Take on its way.
type taking struct {
	s       *session
	want    driver.Want
	columns []column
	byKey   *sqlite3.Stmt
	keys    *row.Batch
	images  *row.Batch
	seen    keySet
	most    int // the size of images at which to stop
	receipt *receipt
}

func (t *taking) all() error {
	var err error
	if t.byKey, err = t.s.prepareByKey(t.want.Table, t.columns, t.want.Shape.Key); err != nil {
		return err
	}
	defer t.byKey.Close()
	if err := t.entries(); err != nil {
		return err
	}
	if t.want.Also == nil {
		return nil
	}
	for i := range t.want.Also.Len() {
		if t.images.Size() >= t.most {
			break
		}
		at := t.keys.Len()
		if err := t.keys.AppendRow(t.want.Also.Row(i)); err != nil {
			return err
		}
		if err := t.look(at); err != nil {
			return err
		}
	}
	return nil
}

// entries goes through the record from its beginning. Entries of other lanes are stepped over; a lane is a matter of the
// key's canonical bytes, so it is found here and not in SQL.
func (t *taking) entries() error {
	width := len(t.want.Shape.Key)
	sql := "SELECT seq"
	for i := range width {
		sql += ", k" + itoa(i+1)
	}
	st, _, err := t.s.conn.Prepare(sql + " FROM " + recordName(t.want.Table) + " WHERE seq > ?1 ORDER BY seq")
	if err != nil {
		return err
	}
	defer st.Close()
	if err := st.BindInt64(1, lastOf(t.want.Beyond)); err != nil {
		return err
	}
	for len(t.receipt.entries) < t.want.Most && t.images.Size() < t.most && st.Step() {
		at := t.keys.Len()
		if err := t.key(st); err != nil {
			return err
		}
		if t.want.Lanes > 1 && laneOf(t.keys.Row(at), t.want.Lanes) != t.want.Lane {
			t.keys.Truncate(at)
			continue
		}
		t.receipt.entries = append(t.receipt.entries, st.ColumnInt64(0))
		if err := t.look(at); err != nil {
			return err
		}
	}
	return st.Err()
}

// lastOf is the number of the last entry of a receipt, behind which another Take begins. Numbers are given in the order of the
// commits, since SQLite has one writer: what comes later stands behind.
func lastOf(beyond driver.Receipt) int64 {
	r, ok := beyond.(*receipt)
	if !ok || len(r.entries) == 0 {
		return 0
	}
	return r.entries[len(r.entries)-1]
}

// key appends the key of an entry.
func (t *taking) key(st *sqlite3.Stmt) error {
	var v value
	for i, k := range t.want.Shape.Key {
		c := &t.columns[k]
		if v.scan(st, i+1); v.class == sqlite3.NULL {
			t.keys.AppendNull()
			continue
		}
		out, why := c.appendCell(t.keys.Begin(), &v)
		if why != "" {
			t.keys.Abandon()
			text, _ := appendLiteral(nil, &v)
			return &driver.CellError{Table: t.want.Table.Name, Column: c.name, Key: string(text), Why: why}
		}
		t.keys.End(out)
	}
	return nil
}

// look reads the row of the key that was appended last, unless the key was there already: then it is taken back.
func (t *taking) look(at int) error {
	run := t.keys.Row(at)
	if !t.seen.add(at) {
		t.keys.Truncate(at)
		return nil
	}
	for i, k := range t.want.Shape.Key {
		if err := t.columns[k].bind(t.byKey, i+1, t.keys.Cell(at, i)); err != nil {
			return err
		}
	}
	return t.s.appendFound(t.images, t.byKey, t.want.Table, t.columns, t.want.Shape.Key, run)
}

// keySet knows which of a batch's keys are there, by their places in it.
type keySet struct {
	keys   *row.Batch
	places []int32 // 1 more than the place, 0 for none; a power of two of them, at most half of them used
	used   int
}

// add adds the key at a place, and reports false where the same key is in the set already.
func (k *keySet) add(at int) bool {
	if 2*(k.used+1) > len(k.places) {
		old := k.places
		k.places = make([]int32, max(2*len(old), 1024))
		for _, place := range old {
			if place > 0 {
				k.places[k.find(int(place-1))] = place
			}
		}
	}
	slot := k.find(at)
	if k.places[slot] > 0 {
		return false
	}
	k.places[slot] = int32(at) + 1
	k.used++
	return true
}

// find returns the slot that holds a key, or the free one where it belongs.
func (k *keySet) find(at int) int {
	key := k.keys.Row(at)
	_, lo := row.Seed(0).Hash(key)
	last := len(k.places) - 1
	for slot := int(lo) & last; ; slot = (slot + 1) & last {
		if place := k.places[slot]; place == 0 || string(k.keys.Row(int(place-1))) == string(key) {
			return slot
		}
	}
}

// laneOf gives each key its lane, by the hash of its canonical cells.
func laneOf(key []byte, lanes int) int {
	d := row.Seed(0).Digest(key)
	return int(binary.BigEndian.Uint64(d[:8]) % uint64(lanes))
}

type receipt struct {
	d       *database
	s       *session
	table   *schema.Table
	lane    int
	entries []int64
	cut     bool // it ended early

	epoch    int64 // of who promises them
	promised int64 // the batch that they were promised as
}

func (r *receipt) Entries() int  { return len(r.entries) }
func (r *receipt) Cut() bool     { return r.cut }
func (r *receipt) Emptied() bool { return false } // DELETE without WHERE notes every key once triggers are there

// Durable writes the promise and makes what was read survive a crash, whatever the application's connections do at commit.
func (r *receipt) Durable(ctx context.Context, n int64) error {
	if r.s == nil {
		return fmt.Errorf("promise batch %d of %s: the receipt is closed", n, r.table.Name)
	}
	if r.promised != n {
		if err := r.write(ctx, func() error { return r.promise(n) }); err != nil {
			return fmt.Errorf("promise batch %d of %s: %w", n, r.table.Name, because(ctx, err))
		}
		r.promised = n
	}
	return r.d.settle()
}

// Forget removes the entries in a short transaction and gives the session back.
func (r *receipt) Forget(ctx context.Context, n int64) error {
	if r.s == nil {
		return fmt.Errorf("forget batch %d of %s: the receipt is closed", n, r.table.Name)
	}
	if err := r.write(ctx, func() error { return r.strike(n) }); err != nil {
		return fmt.Errorf("forget batch %d of %s: %w", n, r.table.Name, because(ctx, err))
	}
	return r.Close() // nothing is left to ask of the session, and another batch may wait for one
}

// write runs a short transaction.
func (r *receipt) write(ctx context.Context, body func() error) error {
	if err := r.d.turn(ctx); err != nil {
		return err
	}
	defer r.d.done()
	if err := r.s.wake(ctx); err != nil {
		return err
	}
	defer r.s.rest()
	if err := r.d.begin(ctx, r.s, lockWait); err != nil {
		return err
	}
	if err := body(); err != nil {
		_ = r.s.end()
		return err
	}
	return r.s.commit(ctx)
}

func (r *receipt) promise(n int64) error {
	was, err := r.s.numbers(r.table, r.lane)
	if err == nil && (was.Promised != n-1 || was.Forgotten != n-1) {
		err = errUnpromised
	}
	if err != nil {
		return err
	}
	return r.number(promises(r.lane), n, r.epoch)
}

// number writes a number of the book, and who promised it where that is what it says. It never goes back: whoever has slept meanwhile comes too late.
func (r *receipt) number(lane, n, promiser int64) error {
	written, err := r.s.exec(`INSERT INTO whimbrel_source_lane (table_no, lane, number, promiser) VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT (table_no, lane) DO UPDATE SET number = excluded.number, promiser = excluded.promiser WHERE number <= excluded.number`,
		number(int64(r.table.Number)), number(lane), number(n), number(promiser))
	if err == nil && written != 1 {
		err = errForgotten
	}
	return err
}

func (r *receipt) strike(n int64) error {
	st, _, err := r.s.conn.Prepare("DELETE FROM " + recordName(r.table) + " WHERE seq BETWEEN ?1 AND ?2")
	if err != nil {
		return err
	}
	defer st.Close()
	for rest := r.entries; len(rest) > 0; {
		n := 1 // entries whose numbers follow each other are all of the receipt's: nothing can stand between them
		for n < len(rest) && rest[n] == rest[n-1]+1 {
			n++
		}
		if err := errors.Join(st.BindInt64(1, rest[0]), st.BindInt64(2, rest[n-1])); err != nil {
			return err
		}
		if err := st.Exec(); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return r.number(int64(r.lane), n, 0)
}

// Close gives the session back.
func (r *receipt) Close() error {
	if r.s != nil && r.s.wake(context.Background()) == nil {
		r.d.give(r.s)
	}
	r.s = nil
	return nil
}
