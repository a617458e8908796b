package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// builders makes shadows: files beside the database's own. There are no accounts here. What keeps a build in its shadow is that
// the file is another one, and that sessions of Scripts.Pool can not attach a second; what a program can open its own rights
// to files say.
//
// Whose a shadow is stands in it, in a table of ours, which also names the tables that are being lent to it.
type builders struct{ d *database }

const markSQL = "CREATE TABLE whimbrel_shadow (run TEXT NOT NULL, lent TEXT NOT NULL, PRIMARY KEY (lent))"

// placeSchema is how a session that has both files open names the shadow.
const placeSchema = "whimbrel_place"

// saidError is an error of our own with what it means.
type saidError struct {
	class driver.Class
	what  string
}

func (e *saidError) Error() string { return e.what }

func exists(format string, args ...any) error {
	return &saidError{driver.Exists, fmt.Sprintf(format, args...)}
}

func missing(format string, args ...any) error {
	return &saidError{driver.Missing, fmt.Sprintf(format, args...)}
}

// Make makes the file. It is marked under another name first, and gets its own when nothing has it, so that a file without our
// mark is never ours; the empty file that holds the name for a moment is known by the marked one beside it.
func (b builders) Make(ctx context.Context, s driver.Shadow) error {
	if err := b.make(ctx, s.Place); err != nil {
		return fmt.Errorf("make the shadow %s: %w", s.Place, err)
	}
	return nil
}

func (b builders) make(ctx context.Context, path string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	marked := b.marked(path)
	at, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		run, err := runOfFile(path)
		if err != nil || run == b.d.run {
			return err
		}
		if run != "" {
			return exists("it is the shadow of run %s: finish or reset that move, or name another file", run)
		}
		if _, err := os.Stat(marked); err == nil && at.Size() == 0 {
			return os.Rename(marked, path)
		}
		return exists("there is a file already, and this run has not made it: name another one, or remove it")
	}
	if err := b.mark(marked); err != nil {
		return err
	}
	holder, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return errors.Join(err, os.Remove(marked))
	}
	if err := holder.Close(); err != nil {
		return err
	}
	if err := os.Rename(marked, path); err != nil {
		return err
	}
	return syncFile(filepath.Dir(path))
}

// marked is the name of a shadow before it has its own.
func (b builders) marked(path string) string { return path + "." + b.d.run }

// mark makes a database with our mark, which only its owner may read and write: whatever has the name goes, so that neither the rights
// nor the place of what a call before, or somebody else, has left there are the new one's.
func (b builders) mark(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return onFile(path, func(s *session) error {
		if err := s.conn.Exec(markSQL); err != nil {
			return err
		}
		_, err := s.exec("INSERT INTO whimbrel_shadow (run, lent) VALUES (?1, '')", text(b.d.run))
		return err
	})
}

// onFile does something with a file that is no database of ours otherwise.
func onFile(path string, do func(s *session) error) error {
	conn, err := open(path, sqlite3.OPEN_READWRITE)
	if err != nil {
		return err
	}
	err = conn.BusyTimeout(lockWait)
	if err == nil {
		err = do(&session{conn: conn})
	}
	return errors.Join(err, conn.Close())
}

// runOfFile reads whose shadow a file is; empty when it is nobody's, or no database.
func runOfFile(path string) (run string, err error) {
	err = onFile(path, func(s *session) error {
		run, err = s.runOf("whimbrel_shadow")
		return err
	})
	if errors.Is(err, sqlite3.NOTADB) {
		return "", nil
	}
	return run, err
}

// Outside is always nil: a file is reached by whom the system lets, and no account is known here.
func (builders) Outside(ctx context.Context, _ driver.Shadow, _ []*schema.Table) ([]string, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, nil
}

// Drop removes the file, what SQLite keeps beside it first: a log that is left behind would be read into the next file of the name.
func (b builders) Drop(ctx context.Context, s driver.Shadow) error {
	if err := b.drop(ctx, s.Place); err != nil {
		return fmt.Errorf("drop the shadow %s: %w", s.Place, err)
	}
	return nil
}

func (b builders) drop(ctx context.Context, path string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	gone := []string{b.marked(path), b.marked(path) + "-journal"}
	if at, err := os.Stat(path); err == nil {
		run, err := runOfFile(path)
		if err != nil {
			return err
		}
		_, half := os.Stat(b.marked(path))
		if run == b.d.run || at.Size() == 0 && half == nil {
			gone = append([]string{path + "-wal", path + "-shm", path + "-journal", path}, gone...)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, name := range gone {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// together gives do a session that has the shadow open beside the database, and is not used afterwards.
func (b builders) together(ctx context.Context, place string, do func(s *session) error) error {
	ctx = context.WithValue(ctx, creating{}, true)
	s, err := b.d.take(ctx, b.d.control)
	if err != nil {
		return err
	}
	defer b.d.give(s)
	s.spent = true
	if _, err := os.Stat(place); err != nil {
		return missing("this run has made no such shadow: make it first")
	}
	if _, err := s.exec("ATTACH ?1 AS "+placeSchema, text(fileURI(place)+"?mode=rw")); err != nil {
		return because(ctx, err)
	}
	run := ""
	there, err := s.holds(placeSchema, "whimbrel_shadow")
	if err == nil && there {
		err = s.one("SELECT run FROM "+placeSchema+".whimbrel_shadow", func(st *sqlite3.Stmt) { run = st.ColumnText(0) })
	}
	if err == nil && run != b.d.run {
		err = missing("this run has made no such shadow: make it first")
	}
	if err == nil {
		err = do(s)
	}
	return because(ctx, err)
}

// holds reports whether one of a session's files has something of a name.
func (s *session) holds(file, name string) (there bool, err error) {
	err = s.one("SELECT 1 FROM "+file+".sqlite_schema WHERE name = ?1 COLLATE NOCASE", func(*sqlite3.Stmt) { there = true }, text(name))
	return there, err
}
