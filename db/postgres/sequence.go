package postgres

import (
	"context"
	"fmt"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// sequencer reads and sets sequences; a column's own generator is the sequence that belongs to it, or that its default draws.
type sequencer struct{ db *database }

// Next returns the next value of each generator: above what was handed out to any session's cache, and, where an index
// tells quickly, above what the column holds.
func (g sequencer) Next(ctx context.Context, s *schema.Schema) ([]driver.Generator, error) {
	l, err := g.db.keeper(ctx)
	if err != nil {
		return nil, err
	}
	defer l.release()
	var all []driver.Generator
	for _, t := range s.Tables {
		for _, c := range t.Columns {
			if c.Identity.Kind == schema.None {
				continue
			}
			next, err := g.ofColumn(ctx, l.session, t, c)
			if err != nil {
				return nil, fmt.Errorf("read the generator of %s.%s: %w", t.Name, c.Name, err)
			}
			all = append(all, driver.Generator{Table: t.Name, Column: c.Name, Next: next})
		}
	}
	for _, q := range s.Sequences {
		if q.Owner.Name != "" {
			continue
		}
		r, err := l.query(ctx, nextOf(g.db.dialect().table(q.Name)))
		if err != nil {
			return nil, fmt.Errorf("read the sequence %s: %w", q.Name, err)
		}
		all = append(all, driver.Generator{Sequence: q.Name, Next: string(r.Rows[0][0])})
	}
	return all, nil
}

// nextOf reads a sequence's next value; last_value is the end of what any session has taken into its cache.
func nextOf(sequence string) string {
	return fmt.Sprintf(`SELECT (last_value::numeric + CASE WHEN is_called THEN seqincrement ELSE 0 END)::text
		FROM %s, pg_sequence WHERE seqrelid = %s::regclass`, sequence, literal(sequence))
}

func (g sequencer) ofColumn(ctx context.Context, s *session, t *schema.Table, c *schema.Column) (string, error) {
	table := g.db.dialect().table(t.Name)
	sequence, err := s.sequenceOf(ctx, table, c.Name)
	if err != nil {
		return "", err
	}
	next := "1"
	if sequence != "" {
		r, err := s.query(ctx, nextOf(sequence))
		if err != nil {
			return "", err
		}
		next = string(r.Rows[0][0])
	}
	if c.Identity.Increment < 0 || !leads(t, c.Name) {
		return next, nil
	}
	r, err := s.query(ctx, fmt.Sprintf("SELECT greatest($1::numeric, coalesce(max(%s), 0)::numeric + 1)::text FROM %s", quote(c.Name), table), next)
	if err != nil {
		return "", err
	}
	return string(r.Rows[0][0]), nil
}

// leads reports whether a column is the first of a key or index, so that its largest value is quickly found.
func leads(t *schema.Table, column string) bool {
	first := func(parts []schema.Part) bool { return len(parts) > 0 && parts[0].Column == column }
	if t.Primary != nil && first(t.Primary.Columns) {
		return true
	}
	for _, k := range t.Uniques {
		if k.Where == "" && first(k.Columns) {
			return true
		}
	}
	return false
}

// sequenceOf returns the quoted name of the sequence behind a column, empty when there is none.
func (s *session) sequenceOf(ctx context.Context, table, column string) (string, error) {
	const query = `SELECT quote_ident(n.nspname) || '.' || quote_ident(q.relname)
		FROM pg_attribute a JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass
			AND (d.classid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype IN ('a', 'i')
			OR d.classid = 'pg_attrdef'::regclass AND d.objid = (SELECT oid FROM pg_attrdef WHERE adrelid = a.attrelid AND adnum = a.attnum))
		JOIN pg_class q ON q.oid IN (d.objid, d.refobjid) AND q.relkind = 'S' JOIN pg_namespace n ON n.oid = q.relnamespace
		WHERE a.attrelid = $1::regclass AND a.attname = $2 ORDER BY d.deptype = 'n' LIMIT 1`
	r, err := s.query(ctx, query, table, column)
	if err != nil || len(r.Rows) == 0 {
		return "", err
	}
	return string(r.Rows[0][0]), nil
}

// Set moves a generator forward, never back.
func (g sequencer) Set(ctx context.Context, next driver.Generator) error {
	l, err := g.db.keeper(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	d := g.db.dialect()
	sequence := d.table(next.Sequence)
	if next.Table.Name != "" {
		if sequence, err = l.sequenceOf(ctx, d.table(next.Table), next.Column); err != nil {
			return fmt.Errorf("set the generator of %s.%s: %w", next.Table, next.Column, err)
		}
		if sequence == "" {
			return &failure{class: driver.Missing, err: fmt.Errorf("set the generator of %s.%s: the column has none", next.Table, next.Column)}
		}
	}
	sql := fmt.Sprintf(`SELECT setval(seqrelid, CASE WHEN seqincrement > 0 THEN greatest(n.next, l.next) ELSE least(n.next, l.next) END::bigint, false)
		FROM pg_sequence, (SELECT $1::numeric AS next) AS n,
			(SELECT last_value::numeric + CASE WHEN is_called THEN (SELECT seqincrement FROM pg_sequence WHERE seqrelid = %[2]s::regclass)
				ELSE 0 END AS next FROM %[1]s) AS l
		WHERE seqrelid = %[2]s::regclass`, sequence, literal(sequence))
	if _, err := l.query(ctx, sql, next.Next); err != nil {
		return fmt.Errorf("set the generator %s: %w", sequence, err)
	}
	return nil
}
