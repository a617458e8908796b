package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// question is one thing to count in a column.
type question struct {
	column string
	what   driver.FactKind
	when   string // a condition; empty for Longest
	length string // an expression, for Longest
}

// Survey reads the table once and counts.
func (db *database) Survey(ctx context.Context, t *schema.Table) ([]driver.Fact, error) {
	questions := db.questions(t)
	if len(questions) == 0 {
		return nil, nil
	}
	l, err := db.worker(ctx)
	if err != nil {
		return nil, err
	}
	defer l.release()
	key := "NULL::text"
	if k := t.LiveKey(); k != nil {
		parts := make([]string, len(k.Columns))
		for i, n := range k.Names() {
			parts[i] = quote(n) + "::text"
		}
		key = "concat_ws(', ', " + strings.Join(parts, ", ") + ")"
	}
	asked := make([]string, len(questions))
	for i, q := range questions {
		if q.what == driver.Longest {
			asked[i] = "count(" + quote(q.column) + "), coalesce(max(" + q.length + "), 0), NULL::text"
			continue
		}
		asked[i] = fmt.Sprintf("count(*) FILTER (WHERE %[1]s), 0, min(%[2]s) FILTER (WHERE %[1]s)", q.when, key)
	}
	r, err := l.query(ctx, "SELECT "+strings.Join(asked, ",\n")+" FROM "+db.dialect().from(t))
	if err != nil {
		return nil, fmt.Errorf("survey %s: %w", t.Name, err)
	}
	var facts []driver.Fact
	for i, q := range questions {
		v := r.Rows[0][3*i:]
		if count := number(v[0]); count > 0 {
			facts = append(facts, driver.Fact{Column: q.column, What: q.what, Count: count, Value: number(v[1]), Sample: string(v[2])})
		}
	}
	return facts, nil
}

func (db *database) questions(t *schema.Table) []question {
	var all []question
	for _, c := range t.Columns {
		n := quote(c.Name)
		ask := func(what driver.FactKind, when string) {
			all = append(all, question{column: c.Name, what: what, when: when})
		}
		switch c.Type.Kind {
		case row.Date, row.Timestamp, row.Instant:
			ask(driver.Infinite, "NOT isfinite("+n+")")
			ask(driver.BeforeYear1, n+" < '0001-01-01' AND isfinite("+n+")")
			ask(driver.AfterYear4, n+" >= '10000-01-01' AND isfinite("+n+")")
		case row.Decimal:
			ask(driver.NotANumber, n+"::text IN ('NaN', 'Infinity', '-Infinity')")
			if c.Type.Scale < 0 {
				all = append(all, question{column: c.Name, what: driver.Longest, length: "length(" + n + "::text)"})
			}
		case row.Float32, row.Float64:
			ask(driver.NotANumber, n+"::float8 IN ('NaN', 'Infinity', '-Infinity')")
			ask(driver.NegativeZero, n+" = 0 AND "+n+"::text = '-0'")
		case row.Text:
			if db.encoding == "SQL_ASCII" {
				ask(driver.BadText, n+"::text ~ '[\\x80-\\xff]'")
			}
			if c.Type.Length == 0 && len(c.Type.Values) == 0 {
				all = append(all, question{column: c.Name, what: driver.Longest, length: "octet_length(" + n + "::text)"})
			}
		case row.Bytes:
			all = append(all, question{column: c.Name, what: driver.Longest, length: "octet_length(" + n + ")"})
		case row.JSON, row.Other:
			all = append(all, question{column: c.Name, what: driver.Longest, length: "octet_length(" + n + "::text)"})
		}
	}
	return all
}
