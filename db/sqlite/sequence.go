package sqlite

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

type sequencer struct{ d *database }

// Next returns the next row number of each table that draws one: past the largest there is and past the largest that was
// ever there, where AUTOINCREMENT remembers it.
func (q sequencer) Next(ctx context.Context, sc *schema.Schema) ([]driver.Generator, error) {
	var all []driver.Generator
	err := q.d.read(ctx, q.d.control, func(s *session) error {
		for _, t := range sc.Tables {
			for _, c := range t.Columns {
				if c.Identity.Kind == schema.None {
					continue
				}
				last, err := s.lastNumber(t, c)
				if err != nil {
					return fmt.Errorf("%s: %w", t.Name, err)
				}
				all = append(all, driver.Generator{Table: t.Name, Column: c.Name, Next: strconv.FormatUint(uint64(last)+1, 10)})
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read generators: %w", err)
	}
	return all, nil
}

// lastNumber is the largest number that a table has or had, 0 at least.
func (s *session) lastNumber(t *schema.Table, c *schema.Column) (last int64, err error) {
	take := func(st *sqlite3.Stmt) { last = max(last, st.ColumnInt64(0)) }
	if err := s.one("SELECT max("+quote(c.Name)+") FROM "+quote(t.Name.Name), take); err != nil {
		return 0, err
	}
	if there, err := s.has("sqlite_sequence"); err != nil || !there {
		return last, err
	}
	err = s.one("SELECT seq FROM sqlite_sequence WHERE name = ?1", take, text(t.Name.Name))
	return last, err
}

// Set makes AUTOINCREMENT go on at next. A table whose column does not say AUTOINCREMENT goes on past its largest row by
// itself and remembers nothing that could be set.
func (q sequencer) Set(ctx context.Context, g driver.Generator) error {
	next, err := strconv.ParseUint(g.Next, 10, 64)
	if err != nil || next == 0 || next-1 > math.MaxInt64 {
		return fmt.Errorf("set the generator of %s: %q is no next number", g.Table, g.Next)
	}
	err = q.d.write(ctx, lockWait, func(s *session) error {
		_, _, _, _, counts, err := s.conn.TableColumnMetadata("main", g.Table.Name, g.Column)
		if err != nil || !counts {
			return err
		}
		last := number(int64(next - 1))
		n, err := s.exec("UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1", text(g.Table.Name), last)
		if err == nil && n == 0 {
			_, err = s.exec("INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)", text(g.Table.Name), last)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("set the generator of %s: %w", g.Table, err)
	}
	return nil
}
