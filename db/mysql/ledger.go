package mysql

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// ledger is the book at the target: four small tables.
//
// The epoch row is the fence. Every transaction of ours at the target reads it first, with a shared lock that it keeps to
// its end, so that loads and applies run side by side; a take-over locks it exclusively and so returns only when no
// transaction of an older epoch is left.
type ledger struct{ *database }

// stampLane is the lane row that counts stamps for a table's lists: applies hold it shared, Peek counts it up, so that
// whatever is put on a list with a stamp is committed before Peek returns a later one.
const stampLane = -1

// Prepare makes the book.
func (d ledger) Prepare(ctx context.Context, run string) error {
	const engine = " ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin"
	return d.control.with(ctx, func(s *session) error {
		for _, sql := range []string{
			"CREATE TABLE IF NOT EXISTS " + d.own("epoch") + " (one TINYINT NOT NULL PRIMARY KEY, run VARCHAR(40) NOT NULL, epoch BIGINT NOT NULL)" + engine,
			"CREATE TABLE IF NOT EXISTS " + d.own("range") + " (table_no INT NOT NULL, number INT NOT NULL, row_count BIGINT NOT NULL, PRIMARY KEY (table_no, number))" + engine,
			"CREATE TABLE IF NOT EXISTS " + d.own("lane") + " (table_no INT NOT NULL, lane INT NOT NULL, number BIGINT NOT NULL, promiser BIGINT NOT NULL, session BIGINT NOT NULL, PRIMARY KEY (table_no, lane))" + engine,
			"CREATE TABLE IF NOT EXISTS " + d.own("list") + " (list VARCHAR(10) NOT NULL, table_no INT NOT NULL, digest BINARY(16) NOT NULL, key_run LONGBLOB NOT NULL, stamp BIGINT NOT NULL, PRIMARY KEY (list, table_no, digest))" + engine,
		} {
			if err := s.run(ctx, sql); err != nil {
				return fmt.Errorf("make the ledger: %w", err)
			}
		}
		if err := s.run(ctx, "INSERT IGNORE INTO "+d.own("epoch")+" VALUES (1, ?, 0)", run); err != nil {
			return fmt.Errorf("make the ledger: %w", err)
		}
		owner, err := s.row(ctx, "SELECT run FROM "+d.own("epoch")+" WHERE one = 1")
		if err != nil {
			return fmt.Errorf("read the ledger: %w", err)
		}
		if owner[0] != run {
			return fmt.Errorf("the target holds the book of run %s, which is not finished: finish it or reset it first", owner[0])
		}
		return nil
	})
}

// TakeOver raises the epoch and ends every session that holds the old one.
func (d ledger) TakeOver(ctx context.Context) (int64, error) {
	var epoch int64
	err := d.control.with(ctx, func(taker *session) error {
		return d.control.with(ctx, func(killer *session) (err error) {
			epoch, err = d.takeOver(ctx, taker, killer)
			return err
		})
	})
	if err != nil {
		return 0, fmt.Errorf("take the target over: %w", err)
	}
	return epoch, nil
}

// Epoch returns the epoch that may write.
func (d ledger) Epoch(ctx context.Context) (epoch int64, err error) {
	err = d.control.with(ctx, func(s *session) error {
		now, err := s.row(ctx, "SELECT epoch FROM "+d.own("epoch")+" WHERE one = 1")
		if err != nil {
			return err
		}
		epoch, err = strconv.ParseInt(now[0], 10, 64)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("read the epoch: %w", err)
	}
	return epoch, nil
}

func (d ledger) takeOver(ctx context.Context, taker, killer *session) (epoch int64, err error) {
	if err := taker.begin(ctx); err != nil {
		return 0, err
	}
	defer taker.rollback()
	done := make(chan struct{})
	var g errgroup.Group
	g.Go(func() error {
		defer close(done)
		found, err := taker.exec(ctx, "UPDATE "+d.own("epoch")+" SET epoch = epoch + 1 WHERE one = 1")
		if err == nil && found != 1 {
			err = errors.New("there is no ledger: prepare it first")
		}
		return err
	})
	for waiting := true; waiting; {
		select {
		case <-done:
			waiting = false
		case <-time.After(staleness):
			d.endHolders(ctx, killer, taker.id)
		}
	}
	if err := g.Wait(); err != nil {
		return 0, err
	}
	now, err := taker.row(ctx, "SELECT epoch FROM "+d.own("epoch")+" WHERE one = 1")
	if err != nil {
		return 0, err
	}
	if epoch, err = strconv.ParseInt(now[0], 10, 64); err != nil {
		return 0, err
	}
	return epoch, taker.commit(ctx)
}

// endHolders ends the sessions that the taker waits for. What holds the epoch row is a transaction of ours of an older
// epoch, by the fence's rule, so that nothing else can be hit. A session that can not be ended, or commits, is waited for.
func (d ledger) endHolders(ctx context.Context, killer *session, taker int64) {
	query := "SELECT DISTINCT b.trx_mysql_thread_id FROM information_schema.innodb_lock_waits w" +
		" JOIN information_schema.innodb_trx r ON r.trx_id = w.requesting_trx_id JOIN information_schema.innodb_trx b ON b.trx_id = w.blocking_trx_id" +
		" WHERE r.trx_mysql_thread_id = ? AND b.trx_mysql_thread_id > 0"
	if !d.version.maria() {
		query = "SELECT DISTINCT b.trx_mysql_thread_id FROM performance_schema.data_lock_waits w" +
			" JOIN information_schema.innodb_trx r ON r.trx_id = w.requesting_engine_transaction_id JOIN information_schema.innodb_trx b ON b.trx_id = w.blocking_engine_transaction_id" +
			" WHERE r.trx_mysql_thread_id = ? AND b.trx_mysql_thread_id > 0"
	}
	holders, err := killer.rows(ctx, query, taker)
	if err != nil {
		return
	}
	for _, h := range holders {
		_ = killer.endOther(ctx, h[0])
	}
}

// fence is the first statement of a target transaction: it holds the epoch still until the transaction ends.
func (d *database) fence(ctx context.Context, s *session, epoch int64) error {
	now, err := s.rows(ctx, "SELECT epoch FROM "+d.own("epoch")+" WHERE one = 1 LOCK IN SHARE MODE")
	if classes[number(err)] == driver.Missing {
		return driver.ErrEnded
	}
	if err != nil {
		return err
	}
	if len(now) != 1 || now[0][0] != strconv.FormatInt(epoch, 10) {
		return errFenced
	}
	return nil
}

// Current looks whether the epoch may still write.
func (d ledger) Current(ctx context.Context, epoch int64) error {
	err := d.control.with(ctx, func(s *session) error { return d.fence(ctx, s, epoch) })
	if err != nil {
		return fmt.Errorf("ask the ledger who writes: %w", err)
	}
	return nil
}

// Ranges returns a table's loaded ranges.
func (d ledger) Ranges(ctx context.Context, t *schema.Table) (map[int]int64, error) {
	found := map[int]int64{}
	err := d.control.with(ctx, func(s *session) error {
		all, err := s.rows(ctx, "SELECT number, row_count FROM "+d.own("range")+" WHERE table_no = ? AND number >= 0", int64(t.Number))
		for _, line := range all {
			n, _ := strconv.Atoi(line[0])
			found[n], _ = strconv.ParseInt(line[1], 10, 64)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the ledger of %s: %w", t.Name, err)
	}
	return found, nil
}

// Clear takes range lines, batch numbers and lists away, but not the count of stamps, and leaves a mark in the same
// transaction, empties the table, which the product can not do in a transaction, and takes the mark away. No range is loaded while the mark is there: a Clear that was interrupted
// must be repeated.
func (d ledger) Clear(ctx context.Context, t *schema.Table, epoch int64) error {
	err := d.control.with(ctx, func(s *session) error {
		n := int64(t.Number)
		err := s.transact(ctx, func() error {
			if err := d.fence(ctx, s, epoch); err != nil {
				return err
			}
			for _, sql := range []string{
				"DELETE FROM " + d.own("lane") + " WHERE table_no = ? AND lane >= 0", "DELETE FROM " + d.own("range") + " WHERE table_no = ?",
				"DELETE FROM " + d.own("list") + " WHERE table_no = ?", "INSERT INTO " + d.own("range") + " VALUES (?, -1, 0)",
			} {
				if err := s.run(ctx, sql, n); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := s.run(ctx, "TRUNCATE TABLE "+d.dialect.name(t.Name)); err != nil {
			return err
		}
		return s.run(ctx, "DELETE FROM "+d.own("range")+" WHERE table_no = ? AND number = -1", n)
	})
	if err != nil {
		return fmt.Errorf("clear %s: %w", t.Name, err)
	}
	return nil
}

// Number returns the last batch applied in a lane. It locks the lane's row, which an Apply has locked until the server is
// done with its COMMIT. Where there is no row no Apply can be under way: the row is made in a transaction of its own.
func (d ledger) Number(ctx context.Context, t *schema.Table, lane int) (driver.Batch, error) {
	var n driver.Batch
	err := d.control.with(ctx, func(s *session) error {
		all, err := s.rows(ctx, "SELECT number, promiser FROM "+d.own("lane")+" WHERE table_no = ? AND lane = ? FOR UPDATE", int64(t.Number), int64(lane))
		if err == nil && len(all) == 1 {
			var failed error
			n.Number, err = strconv.ParseInt(all[0][0], 10, 64)
			n.By, failed = strconv.ParseInt(all[0][1], 10, 64)
			err = errors.Join(err, failed)
		}
		return err
	})
	if err != nil {
		return driver.Batch{}, fmt.Errorf("read the last batch of %s, lane %d: %w", t.Name, lane, err)
	}
	return n, nil
}

// Drop takes this run's book away, the row that says whose it is last.
func (d ledger) Drop(ctx context.Context) error {
	return d.control.with(ctx, func(s *session) error {
		run, err := s.runOf(ctx, d.own("epoch"))
		if err != nil {
			return fmt.Errorf("drop the ledger: %w", err)
		}
		if run != "" && run != d.options.Run {
			return nil
		}
		for _, what := range []string{"list", "lane", "range", "epoch"} {
			if err := s.run(ctx, "DROP TABLE IF EXISTS "+d.own(what)); err != nil {
				return fmt.Errorf("drop the ledger: %w", err)
			}
		}
		return nil
	})
}

// runOf reads whose a table of ours is, whose one row names its run; empty when there is none.
func (s *session) runOf(ctx context.Context, table string) (string, error) {
	all, err := s.rows(ctx, "SELECT run FROM "+table)
	if err != nil && classes[number(err)] == driver.Missing {
		return "", nil
	}
	if err != nil || len(all) == 0 {
		return "", err
	}
	return all[0][0], nil
}

func (d *database) ensureLane(ctx context.Context, s *session, t *schema.Table, lane int) error {
	return s.run(ctx, "INSERT IGNORE INTO "+d.own("lane")+" VALUES (?, ?, 0, 0, 0)", int64(t.Number), int64(lane))
}
