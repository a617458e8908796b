package mysql

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// Settings asks the server what would endanger a move, for this side.
func (d *database) Settings(ctx context.Context) ([]driver.Notice, error) {
	var all []driver.Notice
	err := d.control.with(ctx, func(s *session) error {
		q := &questions{d: d, s: s}
		for _, ask := range []func(context.Context) error{q.common, q.cluster, q.names, q.source, q.target} {
			if err := ask(ctx); err != nil {
				return err
			}
		}
		all = q.found
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the server's settings: %w", err)
	}
	return all, nil
}

type questions struct {
	d     *database
	s     *session
	found []driver.Notice
}

func (q *questions) add(rule string, level driver.Level, message, do string) {
	q.found = append(q.found, driver.Notice{Rule: rule, Level: level, Message: message, Do: do})
}

// setting returns a variable's value, empty where this server has none of the name.
func (q *questions) setting(ctx context.Context, name string) string {
	line, err := q.s.row(ctx, "SELECT @@GLOBAL."+name)
	if err != nil {
		return ""
	}
	return line[0]
}

// common asks what both sides must have: the log flushed at every commit.
func (q *questions) common(ctx context.Context) error {
	if v := q.setting(ctx, "innodb_flush_log_at_trx_commit"); v != "1" {
		level := driver.Note
		if q.d.options.Side == driver.Target {
			level = driver.NotLive
		}
		q.add("flush-log", level, "innodb_flush_log_at_trx_commit is "+v+": a crash of the server loses the last second of commits.", "SET GLOBAL innodb_flush_log_at_trx_commit=1 for the time of the move.")
	}
	if v := q.setting(ctx, "sync_binlog"); v != "1" && q.setting(ctx, "log_bin") == "1" {
		level := driver.Note // what is read of a source is waited for until it is on disk
		if q.d.options.Side == driver.Target {
			level = driver.Lossy
		}
		q.add("sync-binlog", level, "sync_binlog is "+v+": a loss of power takes back commits that the server has acknowledged, those that its binary log lacks.",
			"SET GLOBAL sync_binlog=1 for the time of the move.")
	}
	if v := q.setting(ctx, "innodb_doublewrite"); v == "0" || strings.EqualFold(v, "OFF") {
		q.add("doublewrite", driver.Note, "innodb_doublewrite is off: a crash can tear pages.", "Turn it on unless the file system writes pages whole.")
	}
	if why := q.d.exposed(); why != "" {
		q.add("exposed", driver.Note, why, "Write tls=verify, and ca=FILE where the certificate is of an authority of your own.")
	}
	if n, _ := strconv.ParseInt(q.setting(ctx, "max_allowed_packet"), 10, 64); n < 64<<20 {
		q.add("packet", driver.Note, "max_allowed_packet is "+strconv.FormatInt(n, 10)+" bytes: longer rows can not be read.", "SET GLOBAL max_allowed_packet=268435456.")
	}
	return nil
}

// names finds tables that have the very names of ours where no move is under way: a move would take them for its own, and away.
func (q *questions) names(ctx context.Context) error {
	first := "owner"
	if q.d.options.Side == driver.Target {
		first = "epoch"
	}
	for _, table := range []string{q.d.own(first), q.d.own("shadow")} {
		if run, err := q.s.runOf(ctx, table); err != nil || run != "" {
			return err
		}
	}
	all, err := q.s.rows(ctx, "SELECT table_name FROM information_schema.tables WHERE table_schema = ? AND table_name REGEXP ? AND table_name LIKE ?",
		q.d.schema, ourTables, `whimbrel\_`+string(q.d.options.Side)+`\_%`)
	for _, l := range all {
		q.add("name-of-ours", driver.Forbidden, "The table "+l[0]+" has the name of one that a move makes, and no move is under way.", "Rename it, or drop it if a move of an earlier release left it behind.")
	}
	return err
}

// source asks what capture stands on.
func (q *questions) source(ctx context.Context) error {
	if q.d.options.Side == driver.Target {
		return nil
	}
	if q.setting(ctx, "log_bin") == "1" && strings.EqualFold(q.setting(ctx, "binlog_format"), "STATEMENT") {
		q.add("binlog-format", driver.NotLive, "binlog_format is STATEMENT: triggers that number their entries make replicas differ.", "SET GLOBAL binlog_format=ROW, or MIXED, and reconnect the application.")
	}
	if q.setting(ctx, "read_only") == "1" {
		q.add("read-only", driver.NotLive, "The server is read_only: it is a replica, or kept from being written.", "Give the URL of the primary.")
	}
	if err := q.replica(ctx); err != nil {
		return err
	}
	if err := q.tableLocks(ctx); err != nil {
		return err
	}
	return q.engines(ctx)
}

// tableLocks finds out whether anybody locks tables. MariaDB then takes the record for a table that the statement uses already,
// where several triggers write to it and another session has read it.
func (q *questions) tableLocks(ctx context.Context) error {
	if !q.d.version.maria() {
		return nil
	}
	line, err := q.s.row(ctx, "SHOW GLOBAL STATUS LIKE 'Com_lock_tables'")
	if err == nil && line[1] != "0" {
		q.add("lock-tables", driver.Note, "LOCK TABLES was used "+line[1]+" times since the server started: a session that has locked a captured table with LOCK TABLES … WRITE can not write to it.",
			"See that no program of the application's does so (backups lock for reading, which is well), or move the table in the downtime.")
	}
	return err
}

// replica finds out whether the source is itself fed by replication, whose rows fire no triggers (HAZARDS 12).
func (q *questions) replica(ctx context.Context) error {
	statement := "SHOW REPLICA STATUS"
	if q.d.version.maria() {
		statement = "SHOW ALL REPLICAS STATUS"
	} else if !q.d.version.since(8, 0, 22) {
		statement = "SHOW SLAVE STATUS"
	}
	lines, err := q.s.rows(ctx, statement)
	if number(err) == 1227 { // Rights.Needed says so
		return nil
	}
	if err == nil && len(lines) > 0 && q.setting(ctx, "slave_run_triggers_for_rbr") != "YES" {
		q.add("replica", driver.NotLive, "The server is a replica: rows that replication applies fire no triggers.", "Give the URL of the primary, or SET GLOBAL slave_run_triggers_for_rbr=YES on MariaDB.")
	}
	return err
}

// engines names the tables whose engine does not roll back (HAZARDS 19).
func (q *questions) engines(ctx context.Context) error {
	all, err := q.s.rows(ctx, `SELECT table_name, engine FROM information_schema.tables WHERE table_schema = ? AND table_type = 'BASE TABLE'
		AND engine IS NOT NULL AND engine <> 'InnoDB' AND table_name NOT REGEXP ? ORDER BY 1`, q.d.schema, ourTables)
	for _, l := range all {
		q.found = append(q.found, driver.Notice{
			Rule: "engine", Level: driver.NotLive, Table: schema.Name{Schema: q.d.schema, Name: l[0]},
			Message: "The engine " + l[1] + " keeps rows of transactions that were rolled back.", Do: "Convert it to InnoDB, or leave it a downtime table.",
		})
	}
	return err
}

// target asks what loading stands on.
func (q *questions) target(ctx context.Context) error {
	if q.d.options.Side != driver.Target {
		return nil
	}
	if !q.d.infile {
		q.add("local-infile", driver.Note, "local_infile is off: rows go in by INSERT, which is about three times slower.", "SET GLOBAL local_infile=1 for the time of the load.")
	}
	if q.setting(ctx, "read_only") == "1" {
		q.add("read-only", driver.Forbidden, "The server is read_only.", "SET GLOBAL read_only=0, or give the URL of the primary.")
	}
	return nil
}
