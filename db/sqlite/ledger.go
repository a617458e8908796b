package sqlite

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"strconv"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

//go:embed sql/book.sql
var bookSQL string

// ledger is the book at the target. Every change to it is made under the file's one write lock, so that the fence is a
// plain comparison: nobody else can be about to commit.
type ledger struct{ d *database }

// label is what our sessions write into the book, so that people can see whose they are.
func (d *database) label() string { return d.run + " process " + strconv.Itoa(os.Getpid()) }

// Prepare makes the book and switches the file to a write-ahead log, where reading for a comparison does not hold up the
// writer. The file itself is made here if it is not there yet.
func (l ledger) Prepare(ctx context.Context, run string) error {
	if err := l.d.useLog(ctx); err != nil {
		return fmt.Errorf("prepare the ledger: %w", err)
	}
	err := l.d.write(ctx, lockWait, func(s *session) error {
		if err := s.conn.Exec(bookSQL); err != nil {
			return err
		}
		other, found := "", false
		if err := s.one("SELECT run FROM whimbrel_target_epoch", func(st *sqlite3.Stmt) { other, found = st.ColumnText(0), true }); err != nil {
			return err
		}
		if found && other != run {
			return fmt.Errorf("the target belongs to move %s, which is not finished; finish or reset that one first", other)
		}
		if found {
			return nil
		}
		_, err := s.exec("INSERT INTO whimbrel_target_epoch (run, epoch, stamp, session) VALUES (?1, 0, 0, ?2)", text(run), text(l.d.label()))
		return err
	})
	if err != nil {
		return fmt.Errorf("prepare the ledger: %w", err)
	}
	return nil
}

// useLog sets WAL mode, which stays with the file. Again: does nothing.
func (d *database) useLog(ctx context.Context) error {
	s, err := d.take(context.WithValue(ctx, creating{}, true), d.control)
	if err != nil {
		return err
	}
	defer d.give(s)
	mode, err := s.journal()
	if err != nil || mode == "wal" {
		return because(ctx, err)
	}
	return because(ctx, s.conn.Exec("PRAGMA main.journal_mode = WAL"))
}

// TakeOver raises the epoch. It waits for a transaction of an older epoch that is still open, since the file has one write
// lock, and gives up with Transient; from its return on, such a transaction finds the new epoch.
func (l ledger) TakeOver(ctx context.Context) (int64, error) {
	var epoch int64
	err := l.d.write(ctx, lockWait, func(s *session) error {
		if n, err := s.exec("UPDATE whimbrel_target_epoch SET epoch = epoch + 1, session = ?1", text(l.d.label())); err != nil || n != 1 {
			return orMissing(err, n)
		}
		return s.one("SELECT epoch FROM whimbrel_target_epoch", func(st *sqlite3.Stmt) { epoch = st.ColumnInt64(0) })
	})
	if err != nil {
		return 0, fmt.Errorf("take over the target: %w", l.d.withOpeners(err))
	}
	return epoch, nil
}

// Epoch returns the epoch that may write.
func (l ledger) Epoch(ctx context.Context) (epoch int64, err error) {
	err = l.d.read(ctx, l.d.control, func(s *session) error {
		return s.one("SELECT epoch FROM whimbrel_target_epoch", func(st *sqlite3.Stmt) { epoch = st.ColumnInt64(0) })
	})
	if err != nil {
		return 0, fmt.Errorf("read the epoch: %w", err)
	}
	return epoch, nil
}

func orMissing(err error, rows int64) error {
	if err == nil && rows != 1 {
		err = fmt.Errorf("the ledger has %d epoch rows where it needs one", rows)
	}
	return err
}

// fence fails unless this epoch may write. The session holds the write lock.
func (s *session) fence(epoch int64) error {
	now := int64(-1)
	err := s.one("SELECT epoch FROM whimbrel_target_epoch", func(st *sqlite3.Stmt) { now = st.ColumnInt64(0) })
	if err == nil && now != epoch {
		return fmt.Errorf("epoch %d is over, %d writes now: %w", epoch, now, errFenced)
	}
	if err != nil {
		if there, failed := s.has("whimbrel_target_epoch"); failed == nil && !there {
			return driver.ErrEnded
		}
	}
	return err
}

// stamp counts the transactions that put keys on lists.
func (s *session) stamp() (int64, error) {
	if _, err := s.exec("UPDATE whimbrel_target_epoch SET stamp = stamp + 1"); err != nil {
		return 0, err
	}
	return s.lastStamp()
}

func (s *session) lastStamp() (stamp int64, err error) {
	err = s.one("SELECT stamp FROM whimbrel_target_epoch", func(st *sqlite3.Stmt) { stamp = st.ColumnInt64(0) })
	return stamp, err
}

// Current looks whether the epoch may still write.
func (l ledger) Current(ctx context.Context, epoch int64) error {
	err := l.d.read(ctx, l.d.control, func(s *session) error { return s.fence(epoch) })
	if err != nil {
		return fmt.Errorf("ask the ledger who writes: %w", err)
	}
	return nil
}

// Ranges returns the loaded ranges of a table.
func (l ledger) Ranges(ctx context.Context, t *schema.Table) (map[int]int64, error) {
	found := map[int]int64{}
	err := l.d.read(ctx, l.d.control, func(s *session) error {
		return s.each("SELECT number, rows FROM whimbrel_target_range WHERE table_no = ?1", func(st *sqlite3.Stmt) error {
			found[st.ColumnInt(0)] = st.ColumnInt64(1)
			return nil
		}, number(int64(t.Number)))
	})
	if err != nil {
		return nil, fmt.Errorf("read the ranges of %s: %w", t.Name, err)
	}
	return found, nil
}

// Clear empties a table and what the book says of it. Without triggers and foreign keys SQLite drops the pages unread. Of a table that is not
// there the book says nothing any more either.
func (l ledger) Clear(ctx context.Context, t *schema.Table, epoch int64) error {
	there := false
	err := l.d.write(ctx, lockWait, func(s *session) (err error) {
		if err := s.fence(epoch); err != nil {
			return err
		}
		if there, err = s.holds("main", t.Name.Name); err != nil {
			return err
		}
		if there {
			if _, err := s.exec("DELETE FROM " + quote(t.Name.Name)); err != nil {
				return err
			}
		}
		for _, part := range []string{"range", "lane", "list"} {
			if _, err := s.exec("DELETE FROM whimbrel_target_"+part+" WHERE table_no = ?1", number(int64(t.Number))); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && !there {
		err = missing("there is no such table")
	}
	if err != nil {
		return fmt.Errorf("clear %s: %w", t.Name, err)
	}
	return nil
}

// Number returns the number of the last batch applied in a lane.
func (l ledger) Number(ctx context.Context, t *schema.Table, lane int) (driver.Batch, error) {
	var n driver.Batch
	err := l.d.read(ctx, l.d.control, func(s *session) (err error) {
		n, err = s.lastBatch(t, lane)
		return err
	})
	if err != nil {
		return driver.Batch{}, fmt.Errorf("read lane %d of %s: %w", lane, t.Name, err)
	}
	return n, nil
}

func (s *session) lastBatch(t *schema.Table, lane int) (n driver.Batch, err error) {
	err = s.one("SELECT number, promiser FROM whimbrel_target_lane WHERE table_no = ?1 AND lane = ?2",
		func(st *sqlite3.Stmt) { n = driver.Batch{Number: st.ColumnInt64(0), By: st.ColumnInt64(1)} }, number(int64(t.Number)), number(int64(lane)))
	return n, err
}

// Drop takes this run's book away. The write-ahead log stays: it is the better mode for an application, too.
func (l ledger) Drop(ctx context.Context) error {
	if !l.d.there() {
		return nil
	}
	err := l.d.write(ctx, lockWait, func(s *session) error {
		run, err := s.runOf("whimbrel_target_epoch")
		if err != nil || run != "" && run != l.d.run {
			return err
		}
		for _, part := range []string{"epoch", "range", "lane", "list"} {
			if _, err := s.exec("DROP TABLE IF EXISTS whimbrel_target_" + part); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("drop the ledger: %w", err)
	}
	return nil
}

// runOf reads whose a table of ours is, whose one row names its run; empty when there is none.
func (s *session) runOf(table string) (run string, err error) {
	there, err := s.has(table)
	if err != nil || !there {
		return "", err
	}
	err = s.one("SELECT run FROM "+table, func(st *sqlite3.Stmt) { run = st.ColumnText(0) })
	return run, err
}
