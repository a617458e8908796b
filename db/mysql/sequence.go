package mysql

import (
	"context"
	"fmt"
	"math/big"
	"regexp"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

var autoIncrement = regexp.MustCompile(`(?m)^\).* AUTO_INCREMENT=([0-9]+)`)

// Next reads the counter of every AUTO_INCREMENT column from SHOW CREATE TABLE, which is never stale, and the first value
// of every sequence that is not handed out or cached.
func (d *database) Next(ctx context.Context, s *schema.Schema) ([]driver.Generator, error) {
	var all []driver.Generator
	err := d.control.with(ctx, func(ses *session) error {
		for _, t := range s.Tables {
			c := numbering(t)
			if c == nil {
				continue
			}
			next, err := d.counter(ctx, ses, t.Name, c.Name)
			if err != nil {
				return fmt.Errorf("%s: %w", t.Name, err)
			}
			all = append(all, driver.Generator{Table: t.Name, Column: c.Name, Next: next.String()})
		}
		for _, q := range s.Sequences {
			if q.Owner != (schema.Name{}) {
				continue
			}
			line, err := ses.row(ctx, "SELECT next_not_cached_value FROM "+d.dialect.name(q.Name))
			if err != nil {
				return fmt.Errorf("%s: %w", q.Name, err)
			}
			all = append(all, driver.Generator{Sequence: q.Name, Next: line[0]})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the generators: %w", err)
	}
	return all, nil
}

// counter is the larger of the table's counter and one more than its largest value.
func (d *database) counter(ctx context.Context, s *session, name schema.Name, column string) (*big.Int, error) {
	create, err := s.row(ctx, "SHOW CREATE TABLE "+d.dialect.name(name))
	if err != nil {
		return nil, err
	}
	next := big.NewInt(1)
	if found := autoIncrement.FindStringSubmatch(create[1]); found != nil {
		next.SetString(found[1], 10)
	}
	largest, err := s.row(ctx, "SELECT COALESCE(MAX("+quote(column)+"), 0) FROM "+d.dialect.name(name))
	if err != nil {
		return nil, err
	}
	if m, ok := new(big.Int).SetString(largest[0], 10); ok && m.Cmp(next) >= 0 {
		next = m.Add(m, big.NewInt(1))
	}
	return next, nil
}

// Set moves a generator forward, never back.
func (d *database) Set(ctx context.Context, g driver.Generator) error {
	next, ok := new(big.Int).SetString(g.Next, 10)
	if !ok {
		return fmt.Errorf("set a generator: %q is not a number", g.Next)
	}
	err := d.control.with(ctx, func(s *session) error {
		if g.Table == (schema.Name{}) {
			_, err := s.rows(ctx, "SELECT SETVAL("+d.dialect.name(g.Sequence)+", "+next.String()+", 0)")
			return err
		}
		now, err := d.counter(ctx, s, g.Table, g.Column)
		if err != nil || now.Cmp(next) >= 0 {
			return err
		}
		return s.run(ctx, "ALTER TABLE "+d.dialect.name(g.Table)+" AUTO_INCREMENT = "+next.String())
	})
	if err != nil {
		return fmt.Errorf("set the generator of %s: %w", strings.TrimSpace(g.Table.String()+" "+g.Sequence.String()), err)
	}
	return nil
}
