package sqlite

import (
	"context"
	"fmt"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/db/driver"
)

// Settings says what the file's settings mean for a move.
func (i inspector) Settings(ctx context.Context) ([]driver.Notice, error) {
	var notices []driver.Notice
	err := i.d.read(ctx, i.d.control, func(s *session) error {
		mode, err := s.journal()
		if err != nil {
			return err
		}
		if readOnly, ok := s.conn.ReadOnly("main"); readOnly && !ok {
			notices = append(notices, driver.Notice{
				Rule: "read-only", Level: driver.Forbidden, Message: "The file " + i.d.path + " can not be written to.",
				Do: "Give the file and its folder to the user that runs Whimbrel.",
			})
		}
		taken, err := s.namesOfOurs(i.d.side)
		if err != nil {
			return err
		}
		notices = append(notices, taken...)
		if i.d.side == driver.Source {
			notices = append(notices, sourceSettings(mode)...)
		} else if mode != "wal" && !s.standIn {
			notices = append(notices, driver.Notice{
				Rule: "journal-mode", Level: driver.Note,
				Message: "The target keeps a rollback journal; the move switches it to a write-ahead log, where readers and the writer do not wait for each other.",
				Do:      "Nothing; PRAGMA journal_mode = DELETE after the move takes it back.",
			})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read settings of %s: %w", i.d.path, err)
	}
	return notices, nil
}

// namesOfOurs finds tables that have the very names of ours where no move is under way: a move would take them for its own, and away.
func (s *session) namesOfOurs(side driver.Side) ([]driver.Notice, error) {
	first := map[driver.Side]string{driver.Source: "whimbrel_source_owner", driver.Target: "whimbrel_target_epoch"}[side]
	run, err := s.runOf(first)
	if err != nil || run != "" {
		return nil, err
	}
	var found []driver.Notice
	err = s.each("SELECT name FROM sqlite_schema WHERE type = 'table'", func(st *sqlite3.Stmt) error {
		name := st.ColumnText(0)
		if ourTables.MatchString(name) && strings.HasPrefix(strings.ToLower(name), "whimbrel_"+string(side)+"_") {
			found = append(found, driver.Notice{
				Rule: "name-of-ours", Level: driver.Forbidden, Message: "The table " + name + " has the name of one that a move makes, and no move is under way.",
				Do: "Rename it, or drop it if a move of an earlier release left it behind.",
			})
		}
		return nil
	})
	return found, err
}

func (s *session) journal() (mode string, err error) {
	err = s.one("PRAGMA main.journal_mode", func(st *sqlite3.Stmt) { mode = strings.ToLower(st.ColumnText(0)) })
	return mode, err
}

func sourceSettings(mode string) []driver.Notice {
	notices := []driver.Notice{{
		Rule: "blind-spots", Level: driver.Note,
		Message: "SQLite writes past triggers where an application writes into a BLOB in place (sqlite3_blob_write), switches triggers off for its connection, edits sqlite_schema, or replaces the file.",
		Do:      "Make sure that nothing of this kind runs during the move; the comparison before the target opens would find it.",
	}}
	if mode != "wal" {
		notices = append(notices, driver.Notice{
			Rule: "journal-mode", Level: driver.NotLive,
			Message: "The source is not in WAL mode (journal_mode is " + mode + "), so that reading a table would hold up the application.",
			Do:      "Run PRAGMA journal_mode = WAL once on the file, or move every table in the downtime.",
		})
	}
	return notices
}
