package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// CreateKeys plans the primary key, the unique keys and the indexes. A statement for the primary key looks first whether
// there is one, because the server has no code of its own for a second.
func (d dialect) CreateKeys(t *schema.Table) []driver.Statement {
	var all []driver.Statement
	name := d.table(t.Name)
	if k := t.Primary; k != nil {
		add := "ALTER TABLE " + name + " ADD" + constraintName(k.Name) + " PRIMARY KEY (" + quoteAll(k.Names()) + ")" + deferrable(k.Deferrable, false)
		body := "BEGIN IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = " + literal(name) + "::regclass AND contype = 'p') THEN " +
			add + "; END IF; END"
		all = append(all, driver.Statement{Purpose: "create the primary key of " + t.Name.String(), SQL: "DO " + literal(body)})
	}
	for i, k := range t.Uniques {
		all = append(all, d.unique(t, k, i))
	}
	for i, x := range t.Indexes {
		if s, ok := d.index(t, x, i); ok {
			all = append(all, s)
		}
	}
	return all
}

func constraintName(name string) string {
	if name == "" {
		return ""
	}
	return " CONSTRAINT " + quote(name)
}

func deferrable(can, initially bool) string {
	switch {
	case initially:
		return " DEFERRABLE INITIALLY DEFERRED"
	case can:
		return " DEFERRABLE"
	}
	return ""
}

func (d dialect) unique(t *schema.Table, k *schema.Key, place int) driver.Statement {
	name := k.Name
	if name == "" {
		name = d.short(fmt.Sprintf("%s_key%d", t.Name.Name, place+1))
	}
	s := driver.Statement{Purpose: "create the unique key " + name + " of " + t.Name.String()}
	nulls := ""
	if k.NullsEqual {
		nulls = " NULLS NOT DISTINCT"
	}
	if k.Constraint && k.Where == "" && simple(k.Columns) {
		s.SQL = "ALTER TABLE " + d.table(t.Name) + " ADD CONSTRAINT " + quote(name) + " UNIQUE" + nulls +
			" (" + quoteAll(k.Names()) + ")" + deferrable(k.Deferrable, false)
		return s
	}
	s.SQL = "CREATE UNIQUE INDEX IF NOT EXISTS " + quote(name) + " ON " + d.table(t.Name) + " (" + d.parts(t, k.Columns, "btree") + ")" + nulls
	if k.Where != "" {
		s.SQL += " WHERE " + k.Where
	}
	return s
}

// simple reports parts that a constraint can have: whole columns, as they come.
func simple(parts []schema.Part) bool {
	return !slices.ContainsFunc(parts, func(p schema.Part) bool {
		return p.Column == "" || p.Prefix > 0 || p.Descending || p.NullsFirst || p.Collation != "" || p.OpClass != ""
	})
}

// methods are the kinds of index that need no word of the operator; another product's "fulltext" or "spatial" has no
// counterpart that is one, and is a finding.
var methods = map[string]string{
	"": "btree", "btree": "btree", "hash": "hash", "gin": "gin", "gist": "gist", "brin": "brin", "spgist": "spgist", "rtree": "btree",
}

func (d dialect) index(t *schema.Table, x *schema.Index, place int) (driver.Statement, bool) {
	method, known := methods[strings.ToLower(x.Method)]
	if !known {
		return driver.Statement{}, false
	}
	if method == "hash" && len(x.Columns) > 1 {
		method = "btree"
	}
	name := x.Name
	if name == "" {
		name = d.short(fmt.Sprintf("%s_idx%d", t.Name.Name, place+1))
	}
	sql := "CREATE INDEX IF NOT EXISTS " + quote(name) + " ON " + d.table(t.Name) + " USING " + method + " (" + d.parts(t, x.Columns, method) + ")"
	if len(x.Include) > 0 {
		sql += " INCLUDE (" + quoteAll(x.Include) + ")"
	}
	if x.Where != "" {
		sql += " WHERE " + x.Where
	}
	return driver.Statement{Purpose: "create the index " + name + " of " + t.Name.String(), SQL: sql}, true
}

// parts writes the parts of an index. The first characters of a column become an expression.
func (d dialect) parts(t *schema.Table, parts []schema.Part, method string) string {
	all := make([]string, len(parts))
	for i, p := range parts {
		text := partSQL(p)
		switch {
		case p.Column == "":
			text = "(" + text + ")"
		case p.Prefix > 0:
			text = prefix(t.Column(p.Column), p)
		}
		if p.Collation != "" && strings.Contains(p.Collation, ".") {
			text += " COLLATE " + p.Collation
		}
		if p.OpClass != "" {
			text += " " + p.OpClass
		}
		if method == "btree" {
			text += order(p)
		}
		all[i] = text
	}
	return strings.Join(all, ", ")
}

// partSQL writes what a part is made of, for an index as for a query.
func partSQL(p schema.Part) string {
	if p.Column == "" {
		return p.Expression
	}
	return quote(p.Column)
}

func prefix(c *schema.Column, p schema.Part) string {
	if c != nil && c.Type.Kind == row.Bytes {
		return fmt.Sprintf("(substring(%s FROM 1 FOR %d))", quote(p.Column), p.Prefix)
	}
	return fmt.Sprintf("(left(%s, %d))", quote(p.Column), p.Prefix)
}

func order(p schema.Part) string {
	switch {
	case p.Descending && !p.NullsFirst:
		return " DESC NULLS LAST"
	case p.Descending:
		return " DESC"
	case p.NullsFirst:
		return " NULLS FIRST"
	}
	return ""
}

// CreateConstraints plans foreign keys and checks that hold for new rows at once, and, apart from that, their proof, which
// reads the table without keeping others from writing.
func (d dialect) CreateConstraints(t *schema.Table) (add, prove []driver.Statement) {
	name := d.table(t.Name)
	plan := func(what, constraint, definition string, unproven bool) {
		add = append(add, driver.Statement{
			Purpose: "add " + what + " " + constraint + " of " + t.Name.String(),
			SQL:     "ALTER TABLE " + name + " ADD CONSTRAINT " + quote(constraint) + " " + definition + " NOT VALID",
		})
		if !unproven {
			prove = append(prove, driver.Statement{
				Purpose: "prove " + what + " " + constraint + " of " + t.Name.String(),
				SQL:     "ALTER TABLE " + name + " VALIDATE CONSTRAINT " + quote(constraint),
			})
		}
	}
	for i, c := range t.Checks {
		constraint := c.Name
		if constraint == "" {
			constraint = d.short(fmt.Sprintf("%s_check%d", t.Name.Name, i+1))
		}
		plan("check", constraint, "CHECK ("+c.Expression+")", c.Unproven)
	}
	for i, k := range t.Foreign {
		constraint := k.Name
		if constraint == "" {
			constraint = d.short(fmt.Sprintf("%s_fkey%d", t.Name.Name, i+1))
		}
		plan("foreign key", constraint, d.foreign(k), k.Unproven)
	}
	return add, prove
}

func (d dialect) foreign(k *schema.ForeignKey) string {
	sql := "FOREIGN KEY (" + quoteAll(k.Columns) + ") REFERENCES " + d.table(k.Parent)
	if len(k.ParentCols) > 0 {
		sql += " (" + quoteAll(k.ParentCols) + ")"
	}
	if k.MatchFull {
		sql += " MATCH FULL"
	}
	if k.OnDelete != "" && k.OnDelete != schema.NoAction {
		sql += " ON DELETE " + string(k.OnDelete)
	}
	if k.OnUpdate != "" && k.OnUpdate != schema.NoAction {
		sql += " ON UPDATE " + string(k.OnUpdate)
	}
	return sql + deferrable(k.Deferrable, k.Deferred)
}

// Orphans plans a query for the keys of rows without their parent.
func (d dialect) Orphans(t *schema.Table, k *schema.ForeignKey) string {
	var set, some, same []string
	for i, c := range k.Columns {
		set = append(set, "c."+quote(c)+" IS NOT NULL")
		some = append(some, "c."+quote(c)+" IS NULL")
		same = append(same, "p."+quote(k.ParentCols[i])+" = c."+quote(c))
	}
	columns := k.Columns
	if key := t.LiveKey(); key != nil {
		columns = key.Names()
	}
	shown := make([]string, len(columns))
	for i, c := range columns {
		shown[i] = "c." + quote(c)
	}
	where := strings.Join(set, " AND ") + " AND NOT EXISTS (SELECT FROM " + d.table(k.Parent) + " AS p WHERE " + strings.Join(same, " AND ") + ")"
	if k.MatchFull && len(k.Columns) > 1 {
		where = "(" + where + ") OR ((" + strings.Join(some, " OR ") + ") AND NOT (" + strings.Join(some, " AND ") + "))"
	}
	return "SELECT " + strings.Join(shown, ", ") + " FROM " + d.table(t.Name) + " AS c WHERE " + where + " LIMIT 100"
}
