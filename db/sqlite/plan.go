package sqlite

import (
	"strconv"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

type dialect struct{}

// Quote writes an identifier of any spelling, the empty one included.
func (dialect) Quote(name string) string { return quote(name) }

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func quoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quote(n)
	}
	return strings.Join(quoted, ", ")
}

// CreateTable plans one statement with everything that can only be declared there: primary key, foreign keys, checks and
// generated columns. Sessions of ours neither follow foreign keys nor look at checks, so they cost nothing before the
// target opens.
func (dialect) CreateTable(t *schema.Table) []driver.Statement {
	var lines []string
	sole := soleInteger(t)
	for _, c := range t.Columns {
		if t.Options.Strict && untyped(c.Type) {
			typed := *c
			typed.Type.Kind, typed.Type.Raw = row.Text, "ANY" // a word that only strict tables read as no type at all
			c = &typed
		}
		lines = append(lines, columnWords(c, c == sole))
	}
	if t.Primary != nil && sole == nil {
		lines = append(lines, constraintName(t.Primary.Name)+"PRIMARY KEY ("+partsWords(t.Primary.Columns)+")")
	}
	for _, k := range t.Checks {
		lines = append(lines, constraintName(k.Name)+"CHECK ("+k.Expression+")")
	}
	for _, k := range t.Foreign {
		lines = append(lines, foreignWords(k))
	}
	sql := "CREATE TABLE IF NOT EXISTS " + quote(t.Name.Name) + " (\n  " + strings.Join(lines, ",\n  ") + "\n)"
	var options []string
	if t.Options.WithoutRow && t.Primary != nil {
		options = append(options, " WITHOUT ROWID")
	}
	if t.Options.Strict {
		options = append(options, " STRICT")
	}
	sql += strings.Join(options, ",")
	return []driver.Statement{{Purpose: "create table " + t.Name.Name, SQL: sql}}
}

// soleInteger returns the column that becomes the row's own number, nil when there is none.
func soleInteger(t *schema.Table) *schema.Column {
	if t.Primary == nil || len(t.Primary.Columns) != 1 || t.Options.WithoutRow {
		return nil
	}
	c := t.Column(t.Primary.Columns[0].Column)
	if c == nil || c.Type.Kind != row.Int || !strings.EqualFold(c.Type.Raw, "INTEGER") || c.Generated != nil {
		return nil
	}
	return c
}

func columnWords(c *schema.Column, number bool) string {
	words := []string{quote(c.Name)}
	if c.Type.Raw != "" && !untyped(c.Type) {
		words = append(words, c.Type.Raw)
	}
	if number {
		words = append(words, "PRIMARY KEY")
		if c.Identity.Kind != schema.None {
			words = append(words, "AUTOINCREMENT")
		}
	}
	if !c.Null {
		words = append(words, "NOT NULL")
	}
	if d := defaultWords(c); d != "" {
		words = append(words, "DEFAULT "+d)
	}
	if c.Type.Collation != "" && !strings.EqualFold(c.Type.Collation, "BINARY") && !c.Type.Binary {
		words = append(words, "COLLATE "+quote(c.Type.Collation))
	}
	if g := c.Generated; g != nil {
		words = append(words, "GENERATED ALWAYS AS ("+g.Expression+") "+map[bool]string{true: "STORED", false: "VIRTUAL"}[g.Stored])
	}
	return strings.Join(words, " ")
}

func constraintName(name string) string {
	if name == "" {
		return ""
	}
	return "CONSTRAINT " + quote(name) + " "
}

func foreignWords(k *schema.ForeignKey) string {
	s := constraintName(k.Name) + "FOREIGN KEY (" + quoteAll(k.Columns) + ") REFERENCES " + quote(k.Parent.Name)
	if len(k.ParentCols) > 0 {
		s += " (" + quoteAll(k.ParentCols) + ")"
	}
	if k.OnDelete != "" && k.OnDelete != schema.NoAction {
		s += " ON DELETE " + string(k.OnDelete)
	}
	if k.OnUpdate != "" && k.OnUpdate != schema.NoAction {
		s += " ON UPDATE " + string(k.OnUpdate)
	}
	if k.Deferrable {
		s += " DEFERRABLE"
		if k.Deferred {
			s += " INITIALLY DEFERRED"
		}
	}
	return s
}

func partsWords(parts []schema.Part) string {
	words := make([]string, len(parts))
	for i, p := range parts {
		w := quote(p.Column)
		if p.Column == "" && p.Expression != "" {
			w = "(" + p.Expression + ")"
		}
		if p.Collation != "" {
			w += " COLLATE " + quote(p.Collation)
		}
		if p.Descending {
			w += " DESC"
		}
		words[i] = w
	}
	return strings.Join(words, ", ")
}

// CreateType plans nothing: there are no types of one's own here.
func (dialect) CreateType(*schema.TypeDef) []driver.Statement { return nil }

// CreateKeys plans unique keys and indexes; the primary key was made with the table. Names are one space for the whole
// file here, so a key without a name, as SQLite's own unique constraints are, gets one from its table.
func (dialect) CreateKeys(t *schema.Table) []driver.Statement {
	var all []driver.Statement
	plan := func(kind, name string, parts []schema.Part, where string) {
		sql := "CREATE " + kind + "INDEX IF NOT EXISTS " + quote(name) + " ON " + quote(t.Name.Name) + " (" + partsWords(parts) + ")"
		if where != "" {
			sql += " WHERE " + where
		}
		all = append(all, driver.Statement{Purpose: "create " + strings.ToLower(kind) + "index " + name, SQL: sql})
	}
	for i, k := range t.Uniques {
		plan("UNIQUE ", keyName(t, k.Name, "key", i), k.Columns, k.Where)
	}
	for i, x := range t.Indexes {
		if x.Method == "" || x.Method == "btree" || x.Method == "hash" {
			plan("", keyName(t, x.Name, "index", i), x.Columns, x.Where)
		}
	}
	return all
}

func keyName(t *schema.Table, name, kind string, i int) string {
	if name != "" && !builtIn(name) {
		return name
	}
	return t.Name.Name + "_" + kind + "_" + strconv.Itoa(i+1)
}

// CreateConstraints plans the proofs only: foreign keys and checks were declared with the table. A proof is a query that
// fails when a row breaks the rule; by hand, run what stands behind FROM.
func (dialect) CreateConstraints(t *schema.Table) (add, prove []driver.Statement) {
	for _, k := range t.Checks {
		what := strings.TrimSpace("check "+k.Name) + " of " + t.Name.Name
		prove = append(prove, driver.Statement{
			Purpose: "prove " + what,
			SQL:     "SELECT " + proveFunction + "(count(*), " + quoteText(what) + ") FROM " + quote(t.Name.Name) + " WHERE NOT (" + k.Expression + ")",
		})
	}
	for _, k := range t.Foreign {
		what := strings.TrimSpace("foreign key "+k.Name) + " of " + t.Name.Name + " to " + k.Parent.Name
		prove = append(prove, driver.Statement{
			Purpose: "prove " + what,
			SQL:     "SELECT " + proveFunction + "(count(*), " + quoteText(what) + ") FROM (" + orphans(t, k) + ")",
		})
	}
	return add, prove
}

// DropTable plans the removal of a table made here.
func (dialect) DropTable(t *schema.Table) []driver.Statement {
	return []driver.Statement{{Purpose: "drop table " + t.Name.Name, SQL: "DROP TABLE IF EXISTS " + quote(t.Name.Name)}}
}

// DropType plans nothing.
func (dialect) DropType(*schema.TypeDef) []driver.Statement { return nil }

// Orphans plans a query for the keys of rows without their parent.
func (dialect) Orphans(t *schema.Table, k *schema.ForeignKey) string {
	return orphans(t, k) + " LIMIT 100"
}

// orphans selects the key, or the foreign key's columns in a table without one, of rows without their parent. A row with a
// NULL in the foreign key has none to look for.
func orphans(t *schema.Table, k *schema.ForeignKey) string {
	show := k.Columns
	if key := t.LiveKey(); key != nil {
		show = key.Names()
	}
	shown := make([]string, len(show))
	for i, name := range show {
		shown[i] = "c." + quote(name)
	}
	var there, match []string
	for i, name := range k.Columns {
		there = append(there, "c."+quote(name)+" IS NOT NULL")
		if i < len(k.ParentCols) {
			match = append(match, "p."+quote(k.ParentCols[i])+" = c."+quote(name))
		}
	}
	return "SELECT " + strings.Join(shown, ", ") + " FROM " + quote(t.Name.Name) + " AS c WHERE " + strings.Join(there, " AND ") +
		" AND NOT EXISTS (SELECT 1 FROM " + quote(k.Parent.Name) + " AS p WHERE " + strings.Join(match, " AND ") + ")"
}

// proveFunction is a function of our sessions: prove(n, what) fails, naming what, unless n is 0.
const proveFunction = "whimbrel_prove"

// define gives a session the functions that planned statements use.
func (s *session) define() error {
	return s.conn.CreateFunction(proveFunction, 2, sqlite3.DETERMINISTIC, func(ctx sqlite3.Context, args ...sqlite3.Value) {
		if n := args[0].Int64(); n != 0 {
			ctx.ResultError(&brokenRule{what: args[1].Text(), rows: n})
			return
		}
		ctx.ResultInt64(0)
	})
}

type brokenRule struct {
	what string
	rows int64
}

// Error says which rule is broken by how many rows.
func (b *brokenRule) Error() string {
	return "prove " + b.what + ": " + strconv.FormatInt(b.rows, 10) + " rows break it"
}
