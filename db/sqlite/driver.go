// Package sqlite plays every role of db/driver on one SQLite file, as a source and as a target, through the native API of
// a library without cgo.
//
// What makes SQLite different from a server, and where it is met:
//
//   - One writer at a time, for the whole file. Limits.Writers is 1, our own sessions queue for the write lock in the
//     process (session.go), and every write is one BEGIN IMMEDIATE: who holds it knows that no other write is in flight.
//     That makes fence, gate and Settle exact and short.
//   - Readers hold up the application: in rollback-journal mode a reader blocks commits, in WAL mode it keeps the log from
//     being reset. A read transaction here lasts for one Fill (read.go), and readers pause when the log has grown (wal.go).
//   - A value has its own type, whatever the column says. Cells are made from the value's storage class (cells.go), and a
//     value that is not of its column's kind is an error with its place, found beforehand by the survey (survey.go).
//   - The application's triggers, foreign keys and checks are switched off by connection. Ours are off in every session
//     here, which is why the guard's and the gate's triggers need no exception for us (gate.go).
//   - Keys, foreign keys, checks and generated columns can only be declared in CREATE TABLE (plan.go).
//
// URLs are sqlite:path, relative or absolute, and sqlite:///absolute/path; special characters percent-encoded.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/db/driver"
)

// Driver opens SQLite files.
var Driver driver.Driver = product{}

type product struct{}

// Schemes are the URL schemes of SQLite.
func (product) Schemes() []string { return []string{"sqlite"} }

// Open looks at the file. A target that is not there yet is not made: it appears with the first write.
func (product) Open(ctx context.Context, u *url.URL, o driver.Options) (*driver.Database, error) {
	path, err := filePath(u)
	if err != nil {
		return nil, err
	}
	if err := look(path, o.Side); err != nil {
		return nil, err
	}
	d, err := newDatabase(path, o)
	if err != nil {
		return nil, err
	}
	info, err := d.info(ctx)
	if err != nil {
		_ = d.close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return &driver.Database{
		Info: info, Dialect: dialect{}, Inspector: inspector{d}, Surveyor: surveyor{d}, Executor: executor{d},
		Splitter: splitter{d}, Reader: reader{d}, Loader: loader{d}, Ledger: ledger{d}, Lists: lists{d}, Applier: applier{d},
		Capturer: capturer{d}, Recorder: recorder{d}, Watcher: watcher{d}, Gate: gate{d}, Guard: guard{d},
		Sequencer: sequencer{d}, Many: many{d}, Shadows: builders{d}, Scripts: scripts{d}, Relics: relics{d}, Admitter: admitter{d}, Free: d.free, Close: d.close,
	}, nil
}

// filePath returns the absolute path that a URL names.
func filePath(u *url.URL) (string, error) {
	switch {
	case u.Host != "":
		return "", fmt.Errorf("open sqlite URL: it names the host %q; write sqlite:path or sqlite:///absolute/path", u.Host)
	case u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("open sqlite URL: it takes no parameters; write %3F for ? and %23 for # in a file name")
	}
	path := u.Path
	if u.Opaque != "" {
		var err error
		if path, err = url.PathUnescape(u.Opaque); err != nil {
			return "", fmt.Errorf("open sqlite URL: %w", err)
		}
	}
	if path == "" || path == ":memory:" {
		return "", errors.New("open sqlite URL: it names no file; write sqlite:path or sqlite:///absolute/path")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("open sqlite URL: %w", err)
	}
	return path, nil
}

// look refuses what can not be opened before a session tries: a source that is missing, a folder, a target without a home.
func look(path string, side driver.Side) error {
	at, err := os.Stat(path)
	switch {
	case err == nil && at.IsDir():
		return fmt.Errorf("open %s: it is a folder; name a database file", path)
	case errors.Is(err, fs.ErrNotExist) && side == driver.Target:
		if _, err := os.Stat(filepath.Dir(path)); err != nil {
			return fmt.Errorf("open %s: its folder: %w", path, err)
		}
		return nil
	case err != nil:
		return fmt.Errorf("open %s: %w", path, err)
	}
	return nil
}

// The longest value: SQLite itself stores 1,000,000,000 bytes, but a session and a batch hold a value several times over,
// and the process is to stay under 512 MiB.
const longestValue = 64 << 20

func (d *database) info(ctx context.Context) (driver.Info, error) {
	path := d.path
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	info := driver.Info{
		Product: "sqlite", Name: "sqlite " + d.path, Schema: "main", Server: "sqlite:" + path,
		Limits: driver.Limits{
			Name: 1000, NameBytes: true, Writers: 1, Seconds: 9, TransactDDL: true, Value: longestValue, Literals: true,
			FoldTables: true, FoldColumns: true, Ordered: true, Ahead: true, Reserved: "sqlite_",
			Features: driver.PartialIndexes | driver.DeferrableForeign | driver.SetDefaultForeign | driver.RandomUUIDs,
		},
	}
	err := d.read(ctx, d.control, func(s *session) error {
		if err := s.one("SELECT sqlite_version()", func(r *sqlite3.Stmt) { info.Version = r.ColumnText(0) }); err != nil {
			return err
		}
		return s.one("SELECT count(*) FROM sqlite_schema", func(*sqlite3.Stmt) {}) // a file that is no database fails here
	})
	return info, err
}
