package state

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/row"
)

// SavePlan keeps the ranges of a table in one transaction: all of them, or, after an error or a crash, what was there
// before. It returns how many there are. Other calls wait meanwhile, and ranges may make none. Again: replaces the plan.
func (s *State) SavePlan(ctx context.Context, table int, ranges iter.Seq2[row.Range, error]) (count int, err error) {
	err = s.with(ctx, fmt.Sprintf("keep the ranges of table %d", table), func() error {
		return s.write(func() error {
			count = 0
			if err := s.clear(table); err != nil {
				return err
			}
			stmt, _, err := s.db.Prepare(`INSERT INTO range VALUES (?, ?, ?, ?)`)
			if err != nil {
				return err
			}
			defer stmt.Close()
			for r, err := range ranges {
				if err != nil {
					return err
				}
				if err := context.Cause(ctx); err != nil {
					return err
				}
				if err := errors.Join(stmt.BindInt64(1, int64(table)), stmt.BindInt64(2, int64(r.Number)),
					bindKey(stmt, 3, r.After), bindKey(stmt, 4, r.Upto), stmt.Exec()); err != nil {
					return fmt.Errorf("range %d: %w", r.Number, err)
				}
				count++
			}
			return s.query(`INSERT INTO plan VALUES (?, ?)`, numbers(table, count), nil)
		})
	})
	if err != nil {
		return 0, err
	}
	return count, nil
}

// Planned returns the number of ranges in a table's plan, and false when there is no plan.
func (s *State) Planned(ctx context.Context, table int) (count int, ok bool, err error) {
	err = s.with(ctx, fmt.Sprintf("read the plan of table %d", table), func() error {
		return s.query(`SELECT ranges FROM plan WHERE table_no = ?`, numbers(table), func(row *sqlite3.Stmt) error {
			count, ok = row.ColumnInt(0), true
			return nil
		})
	})
	return count, ok, err
}

// Ranges yields a table's ranges by number. Their bounds are the caller's to keep. It reads through a connection of its own,
// so that other calls go on meanwhile.
func (s *State) Ranges(ctx context.Context, table int) iter.Seq2[row.Range, error] {
	return func(yield func(row.Range, error) bool) {
		if err := s.ranges(ctx, table, yield); err != nil && !errors.Is(err, errEnough) {
			yield(row.Range{}, fmt.Errorf("read the ranges of table %d: %w", table, err))
		}
	}
}

var errEnough = errors.New("enough")

func (s *State) ranges(ctx context.Context, table int, yield func(row.Range, error) bool) (err error) {
	db, err := sqlite3.OpenFlags(filepath.Join(s.dir, File), sqlite3.OPEN_READWRITE)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Exec(`PRAGMA query_only=1; PRAGMA busy_timeout=10000`); err != nil {
		return err
	}
	return query(db, `SELECT number, after, upto FROM range WHERE table_no = ? ORDER BY number`, numbers(table),
		func(stmt *sqlite3.Stmt) error {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			r := row.Range{Number: stmt.ColumnInt(0), After: columnKey(stmt, 1), Upto: columnKey(stmt, 2)}
			if !yield(r, nil) {
				return errEnough
			}
			return nil
		})
}

// DropPlan forgets a table's ranges. Again: does nothing.
func (s *State) DropPlan(ctx context.Context, table int) error {
	return s.with(ctx, fmt.Sprintf("forget the ranges of table %d", table), func() error {
		return s.write(func() error { return s.clear(table) })
	})
}

func (s *State) clear(table int) error {
	return errors.Join(s.query(`DELETE FROM plan WHERE table_no = ?`, numbers(table), nil),
		s.query(`DELETE FROM range WHERE table_no = ?`, numbers(table), nil))
}

// Count is one counter of a table: how much it grew.
type Count struct {
	Table int
	Name  string
	By    int64
}

// Add makes counters grow, all of them in one transaction. They are for people, and nothing is decided by them: a crash of the
// machine may take back what was added last. Again: they grow again.
func (s *State) Add(ctx context.Context, counts ...Count) error {
	return s.with(ctx, "count", func() error {
		return s.writeSoon(func() error {
			for _, c := range counts {
				err := s.query(`INSERT INTO counter VALUES (?, ?, ?) ON CONFLICT (table_no, name) DO UPDATE SET value = value + excluded.value`,
					func(stmt *sqlite3.Stmt) error {
						return errors.Join(stmt.BindInt64(1, int64(c.Table)), stmt.BindText(2, c.Name), stmt.BindInt64(3, c.By))
					}, nil)
				if err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// Counts returns every counter: By is its value.
func (s *State) Counts(ctx context.Context) ([]Count, error) {
	var counts []Count
	err := s.with(ctx, "read the counters", func() error {
		return s.query(`SELECT table_no, name, value FROM counter ORDER BY table_no, name`, nil, func(row *sqlite3.Stmt) error {
			counts = append(counts, Count{Table: row.ColumnInt(0), Name: row.ColumnText(1), By: row.ColumnInt64(2)})
			return nil
		})
	})
	return counts, err
}

func numbers(values ...int) func(*sqlite3.Stmt) error {
	return func(stmt *sqlite3.Stmt) error {
		for i, v := range values {
			if err := stmt.BindInt64(i+1, int64(v)); err != nil {
				return err
			}
		}
		return nil
	}
}

// bindKey binds a bound; an open one is NULL, told from a bound of no bytes.
func bindKey(stmt *sqlite3.Stmt, at int, k row.Key) error {
	if k == nil {
		return stmt.BindNull(at)
	}
	return stmt.BindBlob(at, k)
}

func columnKey(stmt *sqlite3.Stmt, at int) row.Key {
	if stmt.ColumnType(at) == sqlite3.NULL {
		return nil
	}
	return stmt.ColumnBlob(at, row.Key{})
}

// SaveWhole keeps for each of these tables the plan of one range, which is the whole table, in one transaction. Again: replaces
// their plans.
func (s *State) SaveWhole(ctx context.Context, tables ...int) error {
	return s.with(ctx, fmt.Sprintf("keep the ranges of %d tables", len(tables)), func() error {
		return s.write(func() error {
			for _, table := range tables {
				if err := s.clear(table); err != nil {
					return err
				}
				if err := errors.Join(s.query(`INSERT INTO range VALUES (?, 1, NULL, NULL)`, numbers(table), nil),
					s.query(`INSERT INTO plan VALUES (?, 1)`, numbers(table), nil)); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// Plans returns the number of ranges in each table's plan, by the tables' numbers; a table without a plan is missing.
func (s *State) Plans(ctx context.Context) (map[int]int, error) {
	plans := map[int]int{}
	err := s.with(ctx, "read the plans", func() error {
		return s.query(`SELECT table_no, ranges FROM plan`, nil, func(row *sqlite3.Stmt) error {
			plans[row.ColumnInt(0)] = row.ColumnInt(1)
			return nil
		})
	})
	return plans, err
}
