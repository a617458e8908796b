// Package state is what a run remembers beside its configuration: one SQLite file, state.db, in a folder of its own, with
// the journal, documents by key, range plans and counters. It is written only by the process that holds the lock beside
// it, and each call that writes is on disk when it returns, so that kill -9 loses nothing that was acknowledged.
//
// Where a move stands is not in here: it is folded from the journal (procedure.Fold).
package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/ncruces/go-sqlite3"
)

// File is the name of the database in the state's folder; LockFile that of the lock.
const (
	File     = "state.db"
	LockFile = "lock"
)

// application tells our files from others (PRAGMA application_id); version is the form of the tables.
const (
	application = 0x7768696d // "whim"
	version     = 1
)

// schema is the whole form of the file.
const schema = `
CREATE TABLE journal (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, run TEXT NOT NULL, step TEXT NOT NULL,
  event TEXT NOT NULL, detail TEXT NOT NULL) STRICT;
CREATE TRIGGER journal_kept BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is only appended to'); END;
CREATE TRIGGER journal_same BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is only appended to'); END;
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE document (key TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE plan (table_no INTEGER PRIMARY KEY, ranges INTEGER NOT NULL) STRICT;
CREATE TABLE range (
  table_no INTEGER NOT NULL, number INTEGER NOT NULL, after BLOB, upto BLOB,
  PRIMARY KEY (table_no, number)) STRICT, WITHOUT ROWID;
CREATE TABLE counter (
  table_no INTEGER NOT NULL, name TEXT NOT NULL, value INTEGER NOT NULL,
  PRIMARY KEY (table_no, name)) STRICT, WITHOUT ROWID;
`

// State is an open state. Its methods may be called from several goroutines.
type State struct {
	dir  string
	lock *os.File
	mu   sync.Mutex
	db   *sqlite3.Conn
	used map[string]*sqlite3.Stmt // by their text: preparing one costs more than running it
}

// Open takes the lock of a folder, making the folder if it is not there, and opens its state, making it if there is none.
// Where another process holds the lock the error is a *HeldError. A file that is not a state, or is one that this program
// can not read, is an error that says so, and is left as it is.
func Open(dir string) (*State, error) {
	if err := Folder(dir); err != nil {
		return nil, err
	}
	s := &State{dir: dir}
	var err error
	if s.lock, err = take(dir); err != nil {
		return nil, s.room(err)
	}
	if err := s.open(); err != nil {
		return nil, errors.Join(s.room(err), s.Close())
	}
	return s, nil
}

// Dir is the folder.
func (s *State) Dir() string { return s.dir }

// Close gives file and lock back. Again: does nothing.
func (s *State) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.db != nil {
		for _, stmt := range s.used {
			err = errors.Join(err, stmt.Close())
		}
		err, s.db, s.used = errors.Join(err, s.db.Close()), nil, nil
	}
	if s.lock != nil {
		err, s.lock = errors.Join(err, s.lock.Close()), nil
	}
	return err
}

func (s *State) open() error {
	path := filepath.Join(s.dir, File)
	if err := s.connect(); err != nil {
		return err
	}
	var app, form int64
	err := s.query(`SELECT a.application_id, v.user_version FROM pragma_application_id a, pragma_user_version v`, nil,
		func(row *sqlite3.Stmt) error {
			app, form = row.ColumnInt64(0), row.ColumnInt64(1)
			return nil
		})
	var tables int64
	if err == nil {
		err = s.query(`SELECT count(*) FROM sqlite_schema`, nil, func(row *sqlite3.Stmt) error {
			tables = row.ColumnInt64(0)
			return nil
		})
	}
	switch {
	case errors.Is(err, sqlite3.NOTADB), errors.Is(err, sqlite3.CORRUPT):
		return fmt.Errorf("%s can not be read as a state of whimbrel: %w; put back a copy of it, or move it away and reset by hand", path, err)
	case err != nil:
		return fmt.Errorf("read %s: %w", path, err)
	case app == application && form > version:
		return fmt.Errorf("%s was written by a newer whimbrel (form %d, this one reads %d); use that one", path, form, version)
	case app == application && form == version:
	case app != 0 || form != 0 || tables != 0:
		return fmt.Errorf("%s is a database of something else, not a state of whimbrel; move it away", path)
	}
	return s.prepare(tables == 0)
}

func (s *State) connect() error {
	path := filepath.Join(s.dir, File)
	if err := s.own(); err != nil {
		return fmt.Errorf("open the state: %w", err)
	}
	db, err := sqlite3.OpenFlags(path, sqlite3.OPEN_READWRITE|sqlite3.OPEN_NOFOLLOW)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	s.db = db
	return nil
}

// prepare sets the file to survive kill -9 and power loss, and makes the tables in a fresh file.
func (s *State) prepare(fresh freshness) error {
	if err := s.db.Exec(`PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=10000; PRAGMA temp_store=MEMORY`); err != nil {
		return fmt.Errorf("set up %s: %w", File, err)
	}
	if fresh {
		err := s.write(func() error {
			return s.db.Exec(schema + fmt.Sprintf(`PRAGMA application_id=%d; PRAGMA user_version=%d`, application, version))
		})
		if err != nil {
			return fmt.Errorf("make the tables of %s: %w", File, err)
		}
	}
	if err := s.cover(); err != nil {
		return fmt.Errorf("close %s to others: %w", File, err)
	}
	return nil
}

type freshness bool

// write runs change in one transaction that is on disk when it returns. The caller holds the lock, or is alone.
func (s *State) write(change func() error) (err error) {
	tx, err := s.db.BeginImmediate()
	if err != nil {
		return err
	}
	defer tx.End(&err)
	return change()
}

// writeSoon is write for what a crash of the machine may take back: it survives our own death at once, and is on disk when
// the next write is. So whatever is written like this during a step is on disk before the journal says that the step is done.
func (s *State) writeSoon(change func() error) error {
	if err := s.db.Exec(`PRAGMA synchronous=NORMAL`); err != nil {
		return err
	}
	err := s.write(change)
	return errors.Join(err, s.db.Exec(`PRAGMA synchronous=FULL`))
}

// query runs one statement and calls each for every row; each may be nil. The statement is kept for the next time.
func (s *State) query(sql string, bind func(*sqlite3.Stmt) error, each func(*sqlite3.Stmt) error) (err error) {
	stmt := s.used[sql]
	if stmt == nil {
		if stmt, _, err = s.db.Prepare(sql); err != nil {
			return err
		}
		if s.used == nil {
			s.used = map[string]*sqlite3.Stmt{}
		}
		s.used[sql] = stmt
	}
	defer func() {
		if again := errors.Join(stmt.Reset(), stmt.ClearBindings()); err == nil { // Reset repeats the error of the last step
			err = again
		}
	}()
	return step(stmt, bind, each)
}

func query(db *sqlite3.Conn, sql string, bind, each func(*sqlite3.Stmt) error) (err error) {
	stmt, _, err := db.Prepare(sql)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stmt.Close()) }()
	return step(stmt, bind, each)
}

func step(stmt *sqlite3.Stmt, bind, each func(*sqlite3.Stmt) error) error {
	if bind != nil {
		if err := bind(stmt); err != nil {
			return err
		}
	}
	for stmt.Step() {
		if each != nil {
			if err := each(stmt); err != nil {
				return err
			}
		}
	}
	return stmt.Err()
}

// with takes the mutex and refuses a closed state and an ended context.
func (s *State) with(ctx context.Context, what string, do func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if s.db == nil {
		return fmt.Errorf("%s: %w", what, os.ErrClosed)
	}
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", what, s.room(err))
	}
	return nil
}

// SetDocument keeps v as JSON under a key. Again: replaces it.
func (s *State) SetDocument(ctx context.Context, key string, v any) error {
	return s.SetDocuments(ctx, map[string]any{key: v})
}

const setDocument = `INSERT INTO document VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET body = excluded.body`

// SetDocuments keeps several documents, by their keys, in one transaction. Again: replaces them.
func (s *State) SetDocuments(ctx context.Context, documents map[string]any) error {
	bodies := make(map[string]string, len(documents))
	what := "keep documents"
	for key, v := range documents {
		body, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("keep %s: %w", key, err)
		}
		if bodies[key] = string(body); len(documents) == 1 {
			what = "keep " + key
		}
	}
	return s.with(ctx, what, func() error {
		return s.write(func() error {
			for key, body := range bodies {
				if err := s.query(setDocument, text(key, body), nil); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// NoteDocument is SetDocument for what a step finds table by table: it survives the end of the process at once, and a crash of
// the machine from the next entry of the journal on, which is before the step counts as done. Again: replaces it.
func (s *State) NoteDocument(ctx context.Context, key string, v any) error {
	return s.with(ctx, "note "+key, func() error {
		body, err := json.Marshal(v)
		if err != nil {
			return err
		}
		return s.writeSoon(func() error { return s.query(setDocument, text(key, string(body)), nil) })
	})
}

// Documents calls use with every document whose key lies in a folder: begins with its name and a slash. The text is use's only
// until it returns, and use may call nothing of the state.
func (s *State) Documents(ctx context.Context, folder string, use func(key string, body []byte) error) error {
	return s.with(ctx, "read "+folder+"/", func() error {
		const within = `SELECT key, body FROM document WHERE key > ? AND key < ? ORDER BY key` // a zero follows the slash
		return s.query(within, text(folder+"/", folder+"0"), func(row *sqlite3.Stmt) error {
			return use(row.ColumnText(0), row.ColumnRawBlob(1))
		})
	})
}

// Document reads the document of a key into v, and returns false, with v as it was, when there is none.
func (s *State) Document(ctx context.Context, key string, v any) (bool, error) {
	var body []byte
	err := s.with(ctx, "read "+key, func() error {
		err := s.query(`SELECT body FROM document WHERE key = ?`, text(key), func(row *sqlite3.Stmt) error {
			body = row.ColumnBlob(0, nil)
			return nil
		})
		if err != nil || body == nil {
			return err
		}
		return json.Unmarshal(body, v)
	})
	return body != nil && err == nil, err
}

// DeleteDocument forgets the document of a key. Again: does nothing.
func (s *State) DeleteDocument(ctx context.Context, key string) error {
	return s.with(ctx, "forget "+key, func() error { return s.put(`DELETE FROM document WHERE key = ?`, key) })
}

// DeleteDocuments forgets the documents of a folder. Again: does nothing.
func (s *State) DeleteDocuments(ctx context.Context, folder string) error {
	return s.with(ctx, "forget "+folder+"/", func() error {
		return s.put(`DELETE FROM document WHERE key > ? AND key < ?`, folder+"/", folder+"0") // a zero follows the slash
	})
}

// Set keeps a setting. Again: replaces it.
func (s *State) Set(ctx context.Context, name, value string) error {
	return s.with(ctx, "keep setting "+name, func() error {
		return s.put(`INSERT INTO setting VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	})
}

// Setting returns a setting, empty when it was never set.
func (s *State) Setting(ctx context.Context, name string) (value string, err error) {
	err = s.with(ctx, "read setting "+name, func() error {
		return s.query(`SELECT value FROM setting WHERE name = ?`, text(name), func(row *sqlite3.Stmt) error {
			value = row.ColumnText(0)
			return nil
		})
	})
	return value, err
}

// put runs a statement with these texts in a transaction of its own.
func (s *State) put(sql string, texts ...string) error {
	return s.write(func() error { return s.query(sql, text(texts...), nil) })
}

func text(values ...string) func(*sqlite3.Stmt) error {
	return func(stmt *sqlite3.Stmt) error {
		for i, v := range values {
			if err := stmt.BindText(i+1, v); err != nil {
				return err
			}
		}
		return nil
	}
}
