package mysql

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// recorder reads the records.
type recorder struct{ *database }

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

// promises is where the book has the batches that a lane was promised: beside it, under numbers that no lane has.
func promises(lane int) int64 { return int64(-1 - lane) }

// Numbers returns what the book has of a lane.
func (d recorder) Numbers(ctx context.Context, t *schema.Table, lane int) (n driver.Numbers, err error) {
	err = d.control.with(ctx, func(s *session) error {
		got, err := s.row(ctx, "SELECT COALESCE(MAX(IF(lane = ?, number, 0)), 0), COALESCE(MAX(IF(lane = ?, number, 0)), 0),"+
			" COALESCE(MAX(IF(lane = ?, promiser, 0)), 0) FROM "+d.own("lane")+
			" WHERE table_no = ?", promises(lane), int64(lane), promises(lane), int64(t.Number))
		if err != nil {
			return err
		}
		for i, into := range []*int64{&n.Promised, &n.Forgotten, &n.By} {
			if *into, err = strconv.ParseInt(got[i], 10, 64); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return n, fmt.Errorf("read the numbers of lane %d of %s: %w", lane, t.Name, err)
	}
	return n, nil
}

// receipt is the entries of one Take and the session that read them.
type receipt struct {
	*lease
	d    *database
	want driver.Want
	seqs []uint64 // ascending
	last uint64   // the last of them

	promised int64 // the batch that they were promised as

	again []uint64 // those of them whose rows must be read once more (walk.go)
	mark  uint64   // when no mark up to this one is left
	cut   bool     // keys were left
}

// Entries is how many there are.
func (r *receipt) Entries() int { return len(r.seqs) }

// Cut reports whether keys that were found were left, because the rows of the others are large.
func (r *receipt) Cut() bool { return r.cut }

// Emptied is always false: TRUNCATE leaves no note here, the Watcher sees it.
func (r *receipt) Emptied() bool { return false }

// Durable writes the promise, and waits for the server's log, which our own commit has mostly brought to the disk.
func (r *receipt) Durable(ctx context.Context, number int64) error {
	if r.resource == nil {
		return errors.New("the receipt is closed")
	}
	if r.promised != number {
		if err := r.promise(ctx, number); err != nil {
			return fmt.Errorf("promise batch %d of %s: %w", number, r.want.Table.Name, err)
		}
		r.promised = number
	}
	return r.d.durable(ctx, r.session)
}

// promise moves the promised number on by one, where the batch before is forgotten. The first makes the two rows.
func (r *receipt) promise(ctx context.Context, number int64) error {
	book, t, lane := r.d.own("lane"), int64(r.want.Table.Number), int64(r.want.Lane)
	if number == 1 {
		err := r.run(ctx, "INSERT IGNORE INTO "+book+" (table_no, lane, number) VALUES (?, ?, 0), (?, ?, 0)", t, promises(r.want.Lane), t, lane)
		if err != nil {
			return err
		}
	}
	moved, err := r.exec(ctx, "UPDATE "+book+" p JOIN "+book+" f ON f.table_no = p.table_no AND f.lane = ? AND f.number = ? SET p.number = ?, p.promiser = ?"+
		" WHERE p.table_no = ? AND p.lane = ? AND p.number = ?", lane, number-1, number, r.want.Epoch, t, promises(r.want.Lane), number-1)
	if err == nil && moved != 1 {
		err = errUnpromised
	}
	return err
}

// Forget deletes exactly the entries that were read, and writes the number; those that must be read once more have come back
// as later ones. Then the session is not needed any more.
func (r *receipt) Forget(ctx context.Context, number int64) error {
	if r.resource == nil {
		return errors.New("the receipt is closed")
	}
	t := r.want.Table
	err := r.transact(ctx, func() error {
		for _, sql := range again(r.d.record(t), len(r.want.Shape.Key), r.again, r.mark) {
			if err := r.run(ctx, sql); err != nil {
				return err
			}
		}
		for sql, many := range removals(r.d.record(t), r.seqs) {
			gone, err := r.exec(ctx, sql)
			if err == nil && gone != many {
				err = &waitError{fmt.Sprintf("%d of %d entries were there; take them again", gone, many)}
			}
			if err != nil {
				return err
			}
		}
		return r.write(ctx, number)
	})
	if err != nil {
		return fmt.Errorf("forget %d entries of %s: %w", len(r.seqs), t.Name, err)
	}
	r.back()
	return nil
}

// write writes the number of the batch that is forgotten. It never goes back: whoever has slept meanwhile comes too late.
func (r *receipt) write(ctx context.Context, number int64) error {
	book, t, lane := r.d.own("lane"), int64(r.want.Table.Number), int64(r.want.Lane)
	for range 2 {
		found, err := r.exec(ctx, "UPDATE "+book+" SET number = ? WHERE table_no = ? AND lane = ? AND number <= ?", number, t, lane, number)
		if err != nil || found == 1 {
			return err
		}
		if err := r.run(ctx, "INSERT IGNORE INTO "+book+" (table_no, lane, number) VALUES (?, ?, 0)", t, lane); err != nil {
			return err
		}
	}
	return errForgotten
}

// A run is a stretch of entries, all of which were read, whose numbers have no gap. No number is given twice, so that a
// range from its first to its last holds those entries and no others, and never will (HAZARDS C1, 39).
const (
	shortRun   = 50   // shorter ones are removed one by one
	oneByOne   = 5000 // so many in one statement
	longestRun = 1 << 20
)

// removals yields the statements that delete the entries with these numbers, which ascend, and how many each deletes.
//
// None of them may touch another entry, be it only to look at it: an application that has just made one holds its lock
// until it commits, and we would wait for it, or it for us (HAZARDS 78). So a range ends by a limit, because the server
// would read the entry behind it before it sees that it is behind; and single entries are looked up one by one in a join,
// because for a list of numbers the server may read the whole table instead.
func removals(record string, seqs []uint64) iter.Seq2[string, int64] {
	return func(yield func(string, int64) bool) {
		var single []uint64
		for first := 0; first < len(seqs); {
			next := first + 1
			for next < len(seqs) && seqs[next] == seqs[next-1]+1 && next-first < longestRun {
				next++
			}
			if next-first < shortRun {
				single = append(single, seqs[first:next]...)
			} else if !yield(removeRun(record, seqs[first:next]), int64(next-first)) {
				return
			}
			first = next
		}
		for part := range slices.Chunk(single, oneByOne) {
			if !yield(removeSingle(record, part), int64(len(part))) {
				return
			}
		}
	}
}

func removeRun(record string, run []uint64) string {
	sql := strconv.AppendUint([]byte("DELETE FROM "+record+" WHERE seq BETWEEN "), run[0], 10)
	sql = strconv.AppendUint(append(sql, " AND "...), run[len(run)-1], 10)
	return string(strconv.AppendInt(append(sql, " ORDER BY seq LIMIT "...), int64(len(run)), 10))
}

func removeSingle(record string, seqs []uint64) string {
	return "DELETE r FROM " + numbered(seqs) + " s STRAIGHT_JOIN " + record + " r FORCE INDEX (PRIMARY) ON r.seq = s.n"
}

// numbered is a table of these numbers, in its column n.
func numbered(seqs []uint64) string {
	sql := []byte("JSON_TABLE('[")
	for i, seq := range seqs {
		if i > 0 {
			sql = append(sql, ',')
		}
		sql = strconv.AppendUint(sql, seq, 10)
	}
	return string(append(sql, "]', '$[*]' COLUMNS (n BIGINT UNSIGNED PATH '$'))"...))
}

// Close gives the session back.
func (r *receipt) Close() error {
	r.back()
	return nil
}
