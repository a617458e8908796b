package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

type lists struct{ d *database }

// Peek appends the oldest keys of a list.
func (l lists) Peek(ctx context.Context, list driver.List, t *schema.Table, most int, keys *row.Batch) (int64, error) {
	var stamp int64
	err := l.d.read(ctx, l.d.control, func(s *session) (err error) {
		if stamp, err = s.lastStamp(); err != nil {
			return err
		}
		return s.each("SELECT key FROM whimbrel_target_list WHERE list = ?1 AND table_no = ?2 LIMIT ?3", func(st *sqlite3.Stmt) error {
			return keys.AppendRow(st.ColumnRawBlob(0))
		}, text(string(list)), number(int64(t.Number)), number(int64(most)))
	})
	if err != nil {
		return 0, fmt.Errorf("read %s of %s: %w", list, t.Name, err)
	}
	return stamp, nil
}

// Put puts keys on a list with a stamp of its own.
func (l lists) Put(ctx context.Context, list driver.List, t *schema.Table, keys *row.Batch) error {
	err := l.d.write(ctx, lockWait, func(s *session) error {
		on, err := s.lister(t)
		if err != nil {
			return err
		}
		return errors.Join(on.put(list, keys), on.st.Close())
	})
	if err != nil {
		return fmt.Errorf("put keys on %s of %s: %w", list, t.Name, err)
	}
	return nil
}

// Listed looks for keys on a list, one by one.
func (l lists) Listed(ctx context.Context, list driver.List, t *schema.Table, keys, listed *row.Batch) error {
	err := l.d.read(ctx, l.d.control, func(s *session) error {
		for i := range keys.Len() {
			err := s.each("SELECT key FROM whimbrel_target_list WHERE list = ?1 AND table_no = ?2 AND key = ?3", func(st *sqlite3.Stmt) error {
				return listed.AppendRow(st.ColumnRawBlob(0))
			}, text(string(list)), number(int64(t.Number)), blob(keys.Row(i)))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for keys on %s of %s: %w", list, t.Name, err)
	}
	return nil
}

// Strike removes keys that were not put on the list again after the stamp.
func (l lists) Strike(ctx context.Context, list driver.List, t *schema.Table, keys *row.Batch, stamp int64) error {
	err := l.d.write(ctx, lockWait, func(s *session) error { return s.strike(list, t, keys, stamp) })
	if err != nil {
		return fmt.Errorf("strike %s of %s: %w", list, t.Name, err)
	}
	return nil
}

func (s *session) strike(list driver.List, t *schema.Table, keys *row.Batch, stamp int64) error {
	st, _, err := s.conn.Prepare("DELETE FROM whimbrel_target_list WHERE list = ?1 AND table_no = ?2 AND key = ?3 AND stamp <= ?4")
	if err != nil {
		return err
	}
	defer st.Close()
	err = errors.Join(st.BindText(1, string(list)), st.BindInt64(2, int64(t.Number)), st.BindInt64(4, stamp))
	for i := 0; i < keys.Len() && err == nil; i++ {
		if err = st.BindBlob(3, keys.Row(i)); err == nil {
			err = st.Exec()
		}
	}
	return err
}

// lister puts keys on the lists of a table. The lists are in the order of the keys' own bytes, so that keys which come in order
// go to one place.
type lister struct {
	st *sqlite3.Stmt
}

func (s *session) lister(t *schema.Table) (*lister, error) {
	stamp, err := s.stamp()
	if err != nil {
		return nil, err
	}
	st, _, err := s.conn.Prepare(`INSERT INTO whimbrel_target_list (list, table_no, key, stamp) VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT (list, table_no, key) DO UPDATE SET stamp = excluded.stamp`)
	if err != nil {
		return nil, err
	}
	return &lister{st}, errors.Join(st.BindInt64(2, int64(t.Number)), st.BindInt64(4, stamp))
}

// put puts keys on a list, or sets their stamps anew.
func (l *lister) put(list driver.List, keys *row.Batch) error {
	err := l.st.BindText(1, string(list))
	for i := 0; i < keys.Len() && err == nil; i++ {
		if err = l.st.BindBlob(3, keys.Row(i)); err == nil {
			err = l.st.Exec()
		}
	}
	return err
}

// run executes a prepared statement once.
func run(st *sqlite3.Stmt, args ...arg) error {
	for i, a := range args {
		if err := a(st, i+1); err != nil {
			return err
		}
	}
	return st.Exec()
}

// Count returns how many keys a list holds.
func (l lists) Count(ctx context.Context, list driver.List, t *schema.Table) (int64, error) {
	var n int64
	err := l.d.read(ctx, l.d.control, func(s *session) error {
		return s.one("SELECT count(*) FROM whimbrel_target_list WHERE list = ?1 AND table_no = ?2",
			func(st *sqlite3.Stmt) { n = st.ColumnInt64(0) }, text(string(list)), number(int64(t.Number)))
	})
	if err != nil {
		return 0, fmt.Errorf("count %s of %s: %w", list, t.Name, err)
	}
	return n, nil
}
