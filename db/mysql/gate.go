package mysql

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// gate keeps the application out of the source: a trigger before every kind of write to every table refuses it, whoever
// writes. TRUNCATE and other DDL fire no trigger; the Watcher's fingerprint shows them.
type gate struct{ *database }

const refusal = "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'Whimbrel moves this database: writes to this table are refused until the move has ended or was taken back'"

var shutters = []string{"shut_insert", "shut_update", "shut_delete"}

// barriers are the gate's triggers.
func barriers(t *schema.Table) []trigger {
	var all []trigger
	for _, e := range events {
		all = append(all, trigger{numberedNames(t, "shut_"+strings.ToLower(e))[0], "BEFORE", e, refusal})
	}
	return all
}

// atOnce is how many sessions change triggers side by side: a server waits about ten times for the disk to make one. It leaves
// one of the control sessions to everything else.
const atOnce = 2

// Shut raises the barriers, trying each table again until w.Settled has passed, then those on tables through which foreign keys
// change rows of these, and then waits for the writes in flight.
func (d gate) Shut(ctx context.Context, tables []*schema.Table, w driver.Wait) error {
	err := d.control.with(ctx, func(s *session) error { return d.claim(ctx, s) })
	if err == nil {
		limit := time.Now().Add(w.Settled)
		err = d.each(ctx, tables, func(ctx context.Context, s *session, t *schema.Table) error {
			for {
				err := d.raise(ctx, s, t, barriers(t), w)
				if err == nil || number(err) != 1205 || time.Now().After(limit) {
					return err
				}
			}
		})
		if err == nil {
			err = d.control.with(ctx, func(s *session) error { return d.shutOutside(ctx, s, tables, w) })
		}
	}
	if err == nil {
		err = d.control.with(ctx, func(s *session) error {
			_, err := d.awaitWriters(ctx, s, w)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("shut the source: %w", err)
	}
	return nil
}

// each does something to every table, a few at a time.
func (d gate) each(ctx context.Context, tables []*schema.Table, do func(context.Context, *session, *schema.Table) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, t := range tables {
		g.Go(func() error {
			err := d.control.with(ctx, func(s *session) error { return do(ctx, s, t) })
			if err != nil {
				err = fmt.Errorf("%s: %w", t.Name, err)
			}
			return err
		})
	}
	return g.Wait()
}

// Prove looks for the barriers of every table, for transactions that have written and for prepared ones, and last takes
// a read lock on all tables for a moment, which nobody who is still writing to one would allow. The lock alone would not
// do: it passes by a prepared transaction that outlived its session (HAZARDS 86).
func (d gate) Prove(ctx context.Context, tables []*schema.Table, w driver.Wait) error {
	err := d.control.with(ctx, func(s *session) error {
		var locks []string
		for _, t := range tables {
			there, err := d.triggers(ctx, s, t)
			if err != nil {
				return err
			}
			standing := map[string]string{}
			for _, h := range there {
				standing[h.name] = h.body
			}
			for _, want := range barriers(t) {
				if standing[want.name] != want.body {
					return fmt.Errorf("the barrier %s is not on %s: shut the source again", want.name, t.Name)
				}
			}
			locks = append(locks, d.dialect.name(t.Name)+" READ")
		}
		if err := d.proveOutside(ctx, s, tables); err != nil {
			return err
		}
		open, err := d.awaitWriters(ctx, s, w)
		if err != nil {
			return err
		}
		for _, who := range open {
			return &waitError{who + ": end it, then go on"}
		}
		if len(locks) == 0 {
			return nil
		}
		if err := patience(ctx, s, w); err != nil {
			return err
		}
		if err := s.run(ctx, "LOCK TABLES "+strings.Join(locks, ", ")); err != nil {
			return err
		}
		return s.run(ctx, "UNLOCK TABLES")
	})
	if err != nil {
		return fmt.Errorf("prove that the source is shut: %w", err)
	}
	return nil
}

// Reopen takes the barriers away.
func (d gate) Reopen(ctx context.Context, tables []*schema.Table) error {
	var others bool
	err := d.control.with(ctx, func(s *session) (err error) {
		others, err = d.others(ctx, s)
		return err
	})
	if err == nil && !others {
		err = d.each(ctx, tables, func(ctx context.Context, s *session, t *schema.Table) error {
			return d.lower(ctx, s, t, numberedNames(t, shutters...), driver.Wait{Lock: 10 * time.Second})
		})
		if err == nil {
			err = d.control.with(ctx, func(s *session) error {
				return d.unpost(ctx, s, shutting, numbersOf(tables), nil, driver.Wait{Lock: 10 * time.Second})
			})
		}
	}
	if err != nil {
		return fmt.Errorf("reopen the source: %w", err)
	}
	return nil
}

// Writers names the sessions with an open transaction or a running statement, but those of this process.
func (d gate) Writers(ctx context.Context) ([]driver.Writer, error) {
	var found []driver.Writer
	err := d.control.with(ctx, func(s *session) error {
		if _, err := d.transactions(ctx, s); err != nil { // makes the server renew its list of transactions
			return err
		}
		all, err := s.rows(ctx, `SELECT p.id, p.user, p.host, p.command, COALESCE(p.state, ''), p.time,
			COALESCE(x.trx_rows_modified, 0), COALESCE(TIMESTAMPDIFF(SECOND, x.trx_started, SYSDATE()), p.time)
			FROM information_schema.processlist p LEFT JOIN information_schema.innodb_trx x ON x.trx_mysql_thread_id = p.id
			WHERE p.user NOT IN ('system user', 'event_scheduler') AND p.command NOT IN ('Daemon', 'Binlog Dump', 'Binlog Dump GTID')
			AND (x.trx_id IS NOT NULL OR p.command <> 'Sleep') AND p.id <> CONNECTION_ID() ORDER BY p.id`)
		if err != nil {
			return err
		}
		ours := d.sessions()
		for _, line := range all {
			id, _ := strconv.ParseInt(line[0], 10, 64)
			if ours[id] {
				continue
			}
			seconds, _ := strconv.ParseInt(line[7], 10, 64)
			state := strings.TrimSpace(line[3] + " " + line[4])
			if line[6] != "0" {
				state += ", " + line[6] + " rows changed"
			}
			found = append(found, driver.Writer{Session: line[0], User: line[1], Program: line[2], Since: time.Duration(seconds) * time.Second, State: state})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the writers: %w", err)
	}
	return found, nil
}
