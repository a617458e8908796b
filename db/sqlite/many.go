package sqlite

import (
	"context"
	"fmt"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// many does for many tables in one transaction, with one wait for the disk, what the other roles do table by table.
type many struct{ d *database }

// ExecuteAll runs the statements in one transaction.
func (m many) ExecuteAll(ctx context.Context, statements []driver.Statement) error {
	if len(statements) == 0 {
		return nil
	}
	err := m.d.write(ctx, lockWait, func(s *session) error {
		for _, st := range statements {
			if _, err := s.exec(st.SQL); err != nil {
				return fmt.Errorf("%s: %w", st.Purpose, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%d statements in one transaction: %w", len(statements), err)
	}
	return nil
}

// ShutAll refuses others' writes to the tables.
func (m many) ShutAll(ctx context.Context, tables []*schema.Table, epoch int64) error {
	return m.barriers(ctx, "guard", tables, func(s *session, t *schema.Table) error { return s.guard(t, epoch) })
}

// OpenAll lets everybody write to them.
func (m many) OpenAll(ctx context.Context, tables []*schema.Table) error {
	return m.barriers(ctx, "open", tables, func(s *session, t *schema.Table) error { return s.lowerBarrier("guard", t) })
}

func (m many) barriers(ctx context.Context, verb string, tables []*schema.Table, move func(*session, *schema.Table) error) error {
	if len(tables) == 0 {
		return nil
	}
	err := m.d.write(ctx, lockWait, func(s *session) error {
		for _, t := range tables {
			if err := move(s, t); err != nil {
				return fmt.Errorf("%s: %w", t.Name, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s %d tables of the target: %w", verb, len(tables), err)
	}
	return nil
}

// Fingerprints describes the tables in one read transaction.
func (m many) Fingerprints(ctx context.Context, tables []*schema.Table) ([]string, error) {
	prints := make([]string, 0, len(tables))
	err := m.d.read(ctx, m.d.control, func(s *session) error {
		for _, t := range tables {
			print, err := s.fingerprint(t)
			if err != nil {
				return fmt.Errorf("%s: %w", t.Name, err)
			}
			prints = append(prints, print)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("fingerprint %d tables: %w", len(tables), err)
	}
	return prints, nil
}

// RangesAll returns the loaded ranges of the tables.
func (m many) RangesAll(ctx context.Context, tables []*schema.Table) (map[int]map[int]int64, error) {
	asked, found := map[int]bool{}, map[int]map[int]int64{}
	for _, t := range tables {
		asked[t.Number] = true
	}
	err := m.d.read(ctx, m.d.control, func(s *session) error {
		return s.each("SELECT table_no, number, rows FROM whimbrel_target_range", func(st *sqlite3.Stmt) error {
			table := st.ColumnInt(0)
			if !asked[table] {
				return nil
			}
			if found[table] == nil {
				found[table] = map[int]int64{}
			}
			found[table][st.ColumnInt(1)] = st.ColumnInt64(2)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read the ranges of %d tables: %w", len(tables), err)
	}
	return found, nil
}
