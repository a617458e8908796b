package mysql

import (
	"context"
	"errors"
	"fmt"
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

// Number returns the last batch forgotten in a lane.
func (d recorder) Number(ctx context.Context, t *schema.Table, lane int) (int64, error) {
	return d.laneNumber(ctx, t, lane, "")
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
