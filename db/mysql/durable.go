package mysql

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
)

// durable returns when everything that this session could read has reached the server's log on disk (HAZARDS C7).
//
// What is committed becomes visible before its log is on disk, whatever innodb_flush_log_at_trx_commit is. So the log's
// end is taken now, and the log is waited for until it is on disk up to there. Mostly it is already; else the server is
// asked to flush it, or the server does it once a second. Crash recovery then finds every transaction that was visible:
// those of the binary log too, because their commits are in InnoDB's log. Where the server's commits wait for no disk it flushes its log once a
// second, or as seldom as innodb_flush_log_at_timeout says, and not when it is asked to: then it is made to by DDL.
func (d *database) durable(ctx context.Context, s *session) error {
	end, flushed, err := d.logEnds(ctx, s)
	if err != nil || flushed >= end {
		return err
	}
	d.hurry(ctx, s)
	if _, flushed, err = d.logEnds(ctx, s); err != nil || flushed >= end {
		return err
	}
	d.force(ctx, s, end)
	limit := time.NewTimer(10 * time.Second)
	defer limit.Stop()
	for pause := time.Duration(0); ; pause = min(2*pause+time.Millisecond, 20*time.Millisecond) {
		if _, flushed, err = d.logEnds(ctx, s); err != nil || flushed >= end {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-limit.C:
			return &waitError{"the server did not flush its log within ten seconds"}
		case <-time.After(pause):
		}
	}
}

// flushLog makes InnoDB write its log to disk, but where innodb_flush_log_at_trx_commit forbids that. It takes the right
// RELOAD, no lock, and nothing of it goes into the binary log.
const flushLog = "FLUSH LOCAL ENGINE LOGS"

// hurry makes the server flush its log: by the statement for it, or, where the user may not say that, by a commit of our
// own in a table of ours. That the table is missing, or somebody in the way, only means that the wait is longer.
func (d *database) hurry(ctx context.Context, s *session) {
	if s.open {
		return
	}
	if !d.unflushing.Load() {
		err := s.run(ctx, flushLog)
		if err == nil || s.gone() {
			return
		}
		d.unflushing.Store(d.dialect.Classify(err) == driver.Refused) // any other error passes
	}
	_ = s.run(ctx, "UPDATE "+d.own("mark")+" SET number = number + 1 WHERE slot = CONNECTION_ID() % 16")
}

// forceEvery is how often at most the server is made to flush its log by DDL.
const forceEvery = 50 * time.Millisecond

// force has the server begin to copy a table of ours, for a unique key that its two rows can not have: MariaDB 10.11 flushes its log for that
// also where it does not for commits (innodb_flush_log_at_trx_commit 0 or 2), in about 4 ms. Nothing of it goes into the binary log,
// nobody who reads the table is waited for, and it stays as it was also for snapshots that are open, as the one of a backup. That it can not be
// done only means that the wait is longer.
func (d *database) force(ctx context.Context, s *session, end uint64) {
	if s.open || !d.version.maria() {
		return
	}
	if lazy, err := s.rows(ctx, "SELECT 1 FROM DUAL WHERE @@GLOBAL.innodb_flush_log_at_trx_commit IN (0, 2) AND NOT @@GLOBAL.wsrep_on"); err != nil || len(lazy) == 0 {
		return
	}
	d.forcing.Lock()
	defer d.forcing.Unlock()
	done := func() bool { // by somebody else
		_, flushed, err := d.logEnds(ctx, s)
		return err != nil || flushed >= end
	}
	if done() {
		return
	}
	if pause := time.Until(d.forced.Add(forceEvery)); pause > 0 {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		if done() {
			return
		}
	}
	_ = s.run(ctx, "SET STATEMENT lock_wait_timeout=0 FOR ALTER TABLE "+d.own("flush")+" ADD UNIQUE whimbrel_never (same), ALGORITHM=COPY")
	d.forced = time.Now()
}

// logEnds returns how far InnoDB's log was written and how far it is on disk.
func (d *database) logEnds(ctx context.Context, s *session) (end, flushed uint64, err error) {
	names := [2]string{"Innodb_lsn_current", "Innodb_lsn_flushed"}
	if !d.version.maria() {
		names = [2]string{"Innodb_redo_log_current_lsn", "Innodb_redo_log_flushed_to_disk_lsn"}
	}
	ends, err := s.counters(ctx, names[:]...)
	if err != nil {
		return 0, 0, fmt.Errorf("ask for the end of the log: %w", err)
	}
	if len(ends) != 2 {
		return 0, 0, errors.New("the server does not say how far its log is on disk: MariaDB 10.6 or MySQL 8.0.30 is needed")
	}
	return ends[names[0]], ends[names[1]], nil
}

// counters returns those of the server's status variables that it has, as they are at one moment.
func (s *session) counters(ctx context.Context, names ...string) (map[string]uint64, error) {
	all, err := s.rows(ctx, "SHOW GLOBAL STATUS WHERE Variable_name IN ('"+strings.Join(names, "','")+"')")
	if err != nil {
		return nil, err
	}
	counters := make(map[string]uint64, len(all))
	for _, line := range all {
		counters[line[0]], _ = strconv.ParseUint(line[1], 10, 64)
	}
	return counters, nil
}
