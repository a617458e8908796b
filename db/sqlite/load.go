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

type loader struct{ d *database }

// Load begins the range's transaction. It holds the file's only write lock until Commit or Close, and waits for the lock as
// long as another range of ours is on its way in.
func (l loader) Load(ctx context.Context, in driver.Intake) (driver.Load, error) {
	ctx = context.WithValue(ctx, creating{}, true)
	if err := l.d.turn(ctx); err != nil {
		return nil, fmt.Errorf("load %s: %w", in.Table.Name, err)
	}
	s, err := l.d.take(ctx, l.d.work)
	if err != nil {
		l.d.done()
		return nil, fmt.Errorf("load %s: %w", in.Table.Name, err)
	}
	ld := &load{d: l.d, s: s, in: in, columns: columnsOf(in.Shape)}
	if err = l.d.begin(ctx, s, lockWait); err == nil {
		err = ld.open()
	}
	if err != nil {
		l.d.give(s)
		l.d.done()
		return nil, fmt.Errorf("load %s range %d: %w", in.Table.Name, in.Range.Number, because(ctx, err))
	}
	s.rest()
	return ld, nil
}

type load struct {
	d       *database
	s       *session
	in      driver.Intake
	columns []column
	st      *sqlite3.Stmt
	before  int64 // the session's count of changed rows when the first row was to come
	written int64
}

// open writes fence and ledger line and makes ready for the rows.
func (l *load) open() error {
	if err := l.s.fence(l.in.Epoch); err != nil {
		return err
	}
	_, err := l.s.exec("INSERT INTO whimbrel_target_range (table_no, number, rows) VALUES (?1, ?2, 0)",
		number(int64(l.in.Table.Number)), number(int64(l.in.Range.Number)))
	if errors.Is(err, sqlite3.CONSTRAINT) {
		return errExists
	}
	if err != nil {
		return err
	}
	l.st, _, err = l.s.conn.Prepare(insertInto(l.in.Table, l.columns, "INSERT"))
	l.before = l.s.conn.TotalChanges()
	return err
}

func insertInto(t *schema.Table, columns []column, verb string) string {
	values := marks(1, len(columns))
	if len(columns) == 1 {
		values = "(" + values + ")"
	}
	return verb + " INTO " + quote(t.Name.Name) + " (" + nameList(columns) + ") VALUES " + values
}

// Write inserts the rows of a batch.
func (l *load) Write(ctx context.Context, b *row.Batch) error {
	if l.s == nil {
		return fmt.Errorf("load %s: it is closed", l.in.Table.Name)
	}
	if err := l.s.wake(ctx); err != nil {
		return fmt.Errorf("load %s: %w", l.in.Table.Name, err)
	}
	defer l.s.rest()
	for i := range b.Len() {
		if err := l.s.insertRow(l.st, b, i, l.columns); err != nil {
			return fmt.Errorf("load %s: %w", l.in.Table.Name, because(ctx, placed(err, l.in.Table, l.in.Shape, b, i)))
		}
	}
	l.written += int64(b.Len())
	return nil
}

// insertRow binds and runs one row. NULL for a column that forbids it is refused here, because REPLACE would write the
// column's default instead.
func (s *session) insertRow(st *sqlite3.Stmt, b *row.Batch, i int, columns []column) error {
	huge := false
	for n := range columns {
		c := &columns[n]
		cell := b.Cell(i, n)
		if cell == nil && !c.null {
			return c.refuse("is NULL and does not allow it")
		}
		if len(cell) > hugeValue {
			s.spent, huge = true, true
		}
		if err := c.bind(st, n+1, cell); err != nil {
			return err
		}
	}
	if err := st.Exec(); err != nil || !huge {
		return err
	}
	return st.ClearBindings() // a connection's memory holds three such values, and not one more of the row before
}

// placed names the key of the row that was refused.
func placed(err error, t *schema.Table, s schema.Shape, b *row.Batch, i int) error {
	if len(s.Key) == 0 {
		return err
	}
	key := ""
	for n, k := range s.Key {
		if n > 0 {
			key += ", "
		}
		if cell := b.Cell(i, k); cell == nil {
			key += "NULL"
		} else {
			key += string(cell[:min(len(cell), 100)])
		}
	}
	return fmt.Errorf("key %s: %w", key, err)
}

// Commit writes the number of rows into the ledger line and makes both last.
func (l *load) Commit(ctx context.Context) (int64, error) {
	if l.s == nil {
		return 0, fmt.Errorf("commit %s: it is closed", l.in.Table.Name)
	}
	defer l.Close()
	if err := l.s.wake(ctx); err != nil {
		return 0, fmt.Errorf("commit %s: %w", l.in.Table.Name, err)
	}
	defer l.s.rest()
	rows := l.s.conn.TotalChanges() - l.before
	if rows != l.written {
		return 0, fmt.Errorf("commit %s: %d rows were written and SQLite counted %d", l.in.Table.Name, l.written, rows)
	}
	if _, err := l.s.exec("UPDATE whimbrel_target_range SET rows = ?3 WHERE table_no = ?1 AND number = ?2",
		number(int64(l.in.Table.Number)), number(int64(l.in.Range.Number)), number(rows)); err != nil {
		return 0, fmt.Errorf("commit %s: %w", l.in.Table.Name, because(ctx, err))
	}
	if err := l.s.commit(ctx); err != nil {
		return 0, fmt.Errorf("load %s: %w", l.in.Table.Name, err)
	}
	return rows, nil
}

// Close undoes what was not committed.
func (l *load) Close() error {
	if l.s == nil {
		return nil
	}
	if l.s.wake(context.Background()) == nil {
		l.d.give(l.s)
	}
	l.s = nil
	l.d.done()
	return nil
}
