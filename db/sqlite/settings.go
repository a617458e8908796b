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
