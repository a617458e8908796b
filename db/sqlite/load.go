package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
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
	ld := &load{d: l.d, s: s, in: in}
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
	rows    *inserter
	before  int64 // the session's count of changed rows when the first row was to come
	written int64
	broken  bool // a row was refused: some of its batch may be there, so nothing is committed
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
	l.before = l.s.conn.TotalChanges()
	l.rows, err = l.s.inserter(l.in.Table, columnsOf(l.in.Shape), refusing)
	return err
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
	if at, err := l.rows.write(b); err != nil {
		l.broken = true
		return fmt.Errorf("load %s: %w", l.in.Table.Name, because(ctx, placed(err, l.in.Shape, b, at)))
	}
	l.written += int64(b.Len())
	return nil
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
	if l.broken {
		return 0, fmt.Errorf("commit %s: a row of it was refused", l.in.Table.Name)
	}
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
