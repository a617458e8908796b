package sqlite

import (
	"context"
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

// Strike removes keys that were not put on the list again after the stamp.
func (l lists) Strike(ctx context.Context, list driver.List, t *schema.Table, keys *row.Batch, stamp int64) error {
	err := l.d.write(ctx, lockWait, func(s *session) error { return s.strike(list, t, keys, stamp) })
	if err != nil {
		return fmt.Errorf("strike %s of %s: %w", list, t.Name, err)
	}
	return nil
}

func (s *session) strike(list driver.List, t *schema.Table, keys *row.Batch, stamp int64) error {
	st, _, err := s.conn.Prepare("DELETE FROM whimbrel_target_list WHERE list = ?1 AND table_no = ?2 AND digest = ?3 AND stamp <= ?4")
	if err != nil {
		return err
	}
	defer st.Close()
	for i := range keys.Len() {
		digest := row.Seed(0).Digest(keys.Row(i))
		if err := run(st, text(string(list)), number(int64(t.Number)), blob(digest[:]), number(stamp)); err != nil {
			return err
		}
	}
	return nil
}

// list puts key runs on lists.
type lister struct {
	st    *sqlite3.Stmt
	t     *schema.Table
	stamp int64
}

func (s *session) lister(t *schema.Table) (*lister, error) {
	stamp, err := s.stamp()
	if err != nil {
		return nil, err
	}
	st, _, err := s.conn.Prepare(`INSERT INTO whimbrel_target_list (list, table_no, digest, key, stamp) VALUES (?1, ?2, ?3, ?4, ?5)
		ON CONFLICT (list, table_no, digest) DO UPDATE SET stamp = excluded.stamp`)
	return &lister{st: st, t: t, stamp: stamp}, err
}

func (l *lister) put(list driver.List, key []byte) error {
	digest := row.Seed(0).Digest(key)
	return run(l.st, text(string(list)), number(int64(l.t.Number)), blob(digest[:]), blob(key), number(l.stamp))
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
