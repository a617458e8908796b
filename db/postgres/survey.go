package postgres

import (
	"context"
	"fmt"
	"slices"
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
	above  int64  // Longest: what is of interest
}

// longest is the expression of a column's longest value.
func (q question) longest() string {
	longest := "max(" + q.length + ")"
	if n := q.above / swollen; n > 0 {
		longest += fmt.Sprintf(" FILTER (WHERE pg_column_size(%s) > %d)", quote(q.column), n)
	}
	return "coalesce(" + longest + ", 0)"
}

// survey is what is asked about one table. Nearly every table is calm: no row has any of the values looked for. So the
// first reading asks for the lengths and whether a row is not calm, with conditions that cost little; only where one is
// not, a second asks how many there are of what, and where.
type survey struct {
	asked   driver.Questions
	table   string
	from    string
	key     string // an expression: a row's key for people
	calm    []string
	lengths []question
	counts  []question
}

// Survey reads the table once, or twice, or not at all, and counts.
func (db *database) Survey(ctx context.Context, t *schema.Table, q driver.Questions) ([]driver.Fact, error) {
	v := db.survey(t, q)
	if len(v.lengths) == 0 && len(v.counts) == 0 {
		return nil, nil
	}
	l, err := db.worker(ctx)
	if err != nil {
		return nil, err
	}
	defer l.release()
	facts, err := v.ask(ctx, l.session)
	if err != nil {
		return nil, fmt.Errorf("survey %s: %w", t.Name, err)
	}
	return facts, nil
}

func (v *survey) ask(ctx context.Context, s *session) ([]driver.Fact, error) {
	if v.long() {
		toasted, err := v.toasted(ctx, s)
		if err != nil {
			return nil, err
		}
		if !toasted {
			v.lengths = nil
		}
	}
	if len(v.lengths) == 0 && len(v.counts) == 0 {
		return nil, nil
	}
	facts, calm, err := v.first(ctx, s)
	if err == nil && !calm {
		facts, err = v.second(ctx, s, facts)
	}
	return facts, err
}

// A value that is stored in a page is no longer than inline when it is unpacked: a page has 8 KiB, and what is packed best
// becomes 255 times as long. The text of a stored value is at most swollen times as long as what is stored of it, but for
// numbers written with hundreds of zeros.
const (
	inline  = 2 << 20
	swollen = 1024
)

// long reports whether all lengths that are asked for are those of values which are stored outside of the table's pages.
func (v *survey) long() bool {
	return len(v.lengths) > 0 && !slices.ContainsFunc(v.lengths, func(q question) bool { return q.above < inline })
}

// toasted reports whether any value of the table, or of one of its partitions, is.
func (v *survey) toasted(ctx context.Context, s *session) (bool, error) {
	r, err := s.query(ctx, "SELECT coalesce(sum(pg_relation_size(c.reltoastrelid)), 0) > 0 FROM pg_class c WHERE c.reltoastrelid <> 0 AND (c.oid = "+
		literal(v.table)+"::regclass OR c.oid IN (SELECT relid FROM pg_partition_tree("+literal(v.table)+"::regclass)))")
	if err != nil {
		return false, err
	}
	return string(r.Rows[0][0]) == "t", nil
}

// first finds the longest values, and whether the table is calm.
func (v *survey) first(ctx context.Context, s *session) (facts []driver.Fact, calm bool, err error) {
	restless, where := "0", ""
	switch {
	case len(v.lengths) == 0:
		restless, where = "count(*)", " WHERE "+v.restless()
	case len(v.calm) > 0:
		restless = "count(*) FILTER (WHERE " + v.restless() + ")"
	}
	asked := []string{restless}
	for _, q := range v.lengths {
		asked = append(asked, q.longest())
	}
	r, err := s.query(ctx, "SELECT "+strings.Join(asked, ",\n")+" FROM "+v.from+where)
	if err != nil {
		return nil, false, err
	}
	for i, q := range v.lengths {
		if longest := number(r.Rows[0][1+i]); longest > q.above {
			facts = append(facts, driver.Fact{Column: q.column, What: q.what, Count: 1, Value: longest})
		}
	}
	return facts, number(r.Rows[0][0]) == 0, nil
}

// restless holds for a row that is not calm. A NULL is calm: it makes a condition neither true nor false.
func (v *survey) restless() string { return "NOT (" + strings.Join(v.calm, " AND ") + ")" }

// second counts what is in the rows that are not calm.
func (v *survey) second(ctx context.Context, s *session, facts []driver.Fact) ([]driver.Fact, error) {
	asked := make([]string, len(v.counts))
	for i, q := range v.counts {
		asked[i] = fmt.Sprintf("count(*) FILTER (WHERE %[1]s), min(%[2]s) FILTER (WHERE %[1]s)", q.when, v.key)
	}
	r, err := s.query(ctx, "SELECT "+strings.Join(asked, ",\n")+" FROM "+v.from+" WHERE "+v.restless())
	if err != nil {
		return nil, err
	}
	for i, q := range v.counts {
		if count := number(r.Rows[0][2*i]); count > 0 {
			facts = append(facts, driver.Fact{Column: q.column, What: q.what, Count: count, Sample: string(r.Rows[0][2*i+1])})
		}
	}
	return facts, nil
}

func (db *database) survey(t *schema.Table, q driver.Questions) *survey {
	v := &survey{asked: q, table: db.dialect().table(t.Name), from: db.dialect().from(t), key: "NULL::text"}
	if k := t.LiveKey(); k != nil {
		parts := make([]string, len(k.Columns))
		for i, n := range k.Names() {
			parts[i] = quote(n) + "::text"
		}
		v.key = "concat_ws(', ', " + strings.Join(parts, ", ") + ")"
	}
	for _, c := range t.Columns {
		v.column(db, c)
	}
	return v
}

// column adds the questions about one column. Where one of the counted conditions holds, calm is false.
func (v *survey) column(db *database, c *schema.Column) {
	n := quote(c.Name)
	asks := func(some ...driver.FactKind) bool {
		return slices.ContainsFunc(some, func(what driver.FactKind) bool { return v.asked.Asks(c.Name, what) })
	}
	calm := func(when string, some ...driver.FactKind) {
		if asks(some...) {
			v.calm = append(v.calm, when)
		}
	}
	ask := func(what driver.FactKind, when string) {
		if asks(what) {
			v.counts = append(v.counts, question{column: c.Name, what: what, when: when})
		}
	}
	long := func(length string) {
		if above, of := v.asked.Above(c.Name); of {
			v.lengths = append(v.lengths, question{column: c.Name, what: driver.Longest, length: length, above: above})
		}
	}
	switch c.Type.Kind {
	case row.Date, row.Timestamp, row.Instant:
		calm(n+" >= '0001-01-01' AND "+n+" < '10000-01-01'", driver.Infinite, driver.BeforeYear1, driver.AfterYear4)
		ask(driver.Infinite, "NOT isfinite("+n+")")
		ask(driver.BeforeYear1, n+" < '0001-01-01' AND isfinite("+n+")")
		ask(driver.AfterYear4, n+" >= '10000-01-01' AND isfinite("+n+")")
	case row.Decimal:
		calm(db.finite(c), driver.NotANumber)
		ask(driver.NotANumber, n+"::text IN ('NaN', 'Infinity', '-Infinity')")
		if c.Type.Scale < 0 {
			long("length(" + n + "::text)")
		}
	case row.Float32, row.Float64:
		calm(n+" < 'Infinity' AND "+n+" > '-Infinity'", driver.NotANumber)
		calm("("+n+" <> 0 OR "+n+"::text = '0')", driver.NegativeZero)
		ask(driver.NotANumber, n+"::float8 IN ('NaN', 'Infinity', '-Infinity')")
		ask(driver.NegativeZero, n+" = 0 AND "+n+"::text = '-0'")
	case row.Text:
		if db.encoding == "SQL_ASCII" {
			const beyond = "::text ~ '[\\x80-\\xff]'"
			calm("NOT "+n+beyond, driver.BadText)
			ask(driver.BadText, n+beyond)
		}
		if c.Type.Length == 0 && len(c.Type.Values) == 0 {
			long("octet_length(" + n + "::text)")
		}
	case row.Bytes:
		long("octet_length(" + n + ")")
	case row.JSON, row.Other:
		long("octet_length(" + n + "::text)")
	}
}

// finite holds for a number that is one: NaN is larger than all others, and a declared precision leaves no room for the
// infinities, which servers before 14 do not know.
func (db *database) finite(c *schema.Column) string {
	n := quote(c.Name)
	if _, _, bounded := modifiers(c.Type.Raw); bounded || db.version < 140000 {
		return n + " < 'NaN'"
	}
	return n + " < 'Infinity' AND " + n + " > '-Infinity'"
}
