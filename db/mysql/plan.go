package mysql

import (
	"encoding/hex"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// dialect is the language of one version of one product.
type dialect struct {
	version version
	schema  string // where names without a schema live
}

func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// Quote writes an identifier.
func (dialect) Quote(name string) string { return quote(name) }

// quoteText writes a string literal for our own sessions, which have backslash escapes on.
func quoteText(s string) string {
	return "'" + strings.NewReplacer("'", "''", "\\", "\\\\", "\x00", "\\0").Replace(s) + "'"
}

func (d dialect) name(n schema.Name) string {
	return quote(orElse(n.Schema, d.schema)) + "." + quote(n.Name)
}

func list(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quote(n)
	}
	return strings.Join(quoted, ", ")
}

// CreateTable plans the table with its primary key, because InnoDB keeps the rows in it, with the key that a generated
// number must have, and with its checks, because a later ADD CHECK would copy the table; our own sessions turn checks
// off, so that they refuse nothing before the target opens.
func (d dialect) CreateTable(t *schema.Table) []driver.Statement {
	var lines []string
	wide := rowBytes(t) > 60000
	for _, c := range t.Columns {
		lines = append(lines, d.column(t, c, wide))
	}
	if t.Primary != nil {
		lines = append(lines, "PRIMARY KEY ("+d.parts(t, t.Primary.Columns)+")")
	}
	for _, k := range inlines(t) {
		lines = append(lines, d.keyLine(t, k.unique, k.name, k.parts))
	}
	for _, c := range t.Checks {
		lines = append(lines, named("CONSTRAINT", c.Name)+"CHECK ("+c.Expression+")")
	}
	engine := orElse(t.Options.Engine, "InnoDB")
	sql := "CREATE TABLE IF NOT EXISTS " + d.name(t.Name) + " (\n  " + strings.Join(lines, ",\n  ") + "\n) ENGINE=" + engine +
		" DEFAULT CHARACTER SET utf8mb4 COLLATE " + d.version.binaryCollation()
	if c := t.Options.Collation; c != "" && t.Options.Engine != "" {
		charset, _, _ := strings.Cut(c, "_")
		sql = strings.TrimSuffix(sql, "utf8mb4 COLLATE "+d.version.binaryCollation()) + charset + " COLLATE " + c
	}
	if t.Comment != "" {
		sql += " COMMENT=" + quoteText(t.Comment)
	}
	return []driver.Statement{{Purpose: "create table " + t.Name.String(), SQL: sql}}
}

func named(word, name string) string {
	if name == "" {
		return ""
	}
	return word + " " + quote(name) + " "
}

// rowBytes estimates what the varchars of a row take of the 65,535 bytes that they share.
func rowBytes(t *schema.Table) (n int64) {
	for _, c := range t.Columns {
		if strings.HasPrefix(c.Type.Raw, "varchar") {
			n += 4*c.Type.Length + 2
		} else {
			n += 16
		}
	}
	return n
}

func (d dialect) column(t *schema.Table, c *schema.Column, wide bool) string {
	raw := c.Type.Raw
	if wide && strings.HasPrefix(raw, "varchar") && !indexed(t, c.Name) && c.Type.Binary {
		raw = "longtext"
	}
	sql := quote(c.Name) + " " + typed(c.Type, raw)
	if g := c.Generated; g != nil {
		sql += " GENERATED ALWAYS AS (" + g.Expression + ")"
		if g.Stored {
			return sql + " STORED" + hidden(c)
		}
		return sql + " VIRTUAL" + hidden(c)
	}
	if c.Null {
		sql += " NULL"
	} else {
		sql += " NOT NULL"
	}
	sql += d.fallback(c)
	if c.OnUpdate != "" {
		sql += " ON UPDATE " + c.OnUpdate
	}
	if c.Identity.Kind != schema.None && numbering(t) == c {
		sql += " AUTO_INCREMENT"
	}
	sql += hidden(c)
	if c.Type.Kind == row.JSON && baseWord(raw) == "longtext" {
		sql += " CHECK (json_valid(" + quote(c.Name) + "))"
	}
	return sql
}

// typed is a type in the server's words, with character set and collation.
func typed(t schema.Type, raw string) string {
	if t.Charset == "" || baseWord(raw) == "json" {
		return raw
	}
	sql := raw + " CHARACTER SET " + t.Charset
	if t.Collation != "" {
		sql += " COLLATE " + t.Collation
	}
	return sql
}

func hidden(c *schema.Column) string {
	s := ""
	if c.Hidden {
		s = " INVISIBLE"
	}
	if c.Comment != "" {
		s += " COMMENT " + quoteText(c.Comment)
	}
	return s
}

// fallback writes the DEFAULT clause. An identity has none, and MySQL takes a default for a LOB as an expression only.
func (d dialect) fallback(c *schema.Column) string {
	def := c.Default
	if def == nil || c.Identity.Kind != schema.None {
		return ""
	}
	lob := strings.HasSuffix(baseWord(c.Type.Raw), "text") || strings.HasSuffix(baseWord(c.Type.Raw), "blob") || baseWord(c.Type.Raw) == "json"
	switch def.Kind {
	case schema.Now:
		return " DEFAULT " + d.now(c.Type)
	case schema.RandomUUID:
		return " DEFAULT (uuid())"
	case schema.Expression:
		if d.version.maria() || strings.HasPrefix(def.Text, "(") {
			return " DEFAULT " + def.Text
		}
		return " DEFAULT (" + def.Text + ")"
	}
	text := literalText(c.Type, def.Text)
	if lob && !d.version.maria() {
		text = "(" + text + ")"
	}
	return " DEFAULT " + text
}

func (d dialect) now(t schema.Type) string {
	switch t.Kind {
	case row.Date:
		return "(curdate())"
	case row.Time, row.Duration:
		return "(curtime())"
	}
	if t.Scale > 0 {
		return "current_timestamp(" + strconv.Itoa(t.Scale) + ")"
	}
	return "current_timestamp()"
}

// literalText writes a canonical cell as a literal for a default.
func literalText(t schema.Type, cell string) string {
	switch {
	case t.Kind.Numeric():
		return cell
	case t.Kind == row.Bits && baseWord(t.Raw) == "bit":
		return "b'" + cell + "'"
	case t.Kind == row.Bytes:
		return "x'" + hex.EncodeToString([]byte(cell)) + "'"
	}
	return quoteText(cell)
}

// inline is a key that CREATE TABLE declares: one that begins with the generated number, without which the server refuses
// it, and, where a table has no primary key, the key that its rows are known by, because InnoDB then keeps the rows in it.
type inline struct {
	unique bool
	name   string
	parts  []schema.Part
}

// numbering returns the one column that may be AUTO_INCREMENT: the first of exact numeric type.
func numbering(t *schema.Table) *schema.Column {
	for _, c := range t.Columns {
		if c.Identity.Kind != schema.None && c.Type.Kind == row.Int {
			return c
		}
	}
	return nil
}

func inlines(t *schema.Table) []inline {
	var all []inline
	if k := t.LiveKey(); k != nil && k != t.Primary {
		all = append(all, inline{true, k.Name, k.Columns})
	}
	c := numbering(t)
	if c == nil || t.Primary != nil && len(t.Primary.Columns) > 0 && t.Primary.Columns[0].Column == c.Name {
		return all
	}
	for _, k := range all {
		if k.parts[0].Column == c.Name {
			return all
		}
	}
	for _, k := range t.Uniques {
		if k.Where == "" && len(k.Columns) > 0 && k.Columns[0].Column == c.Name {
			return append(all, inline{true, k.Name, k.Columns})
		}
	}
	for _, k := range t.Indexes {
		if len(k.Columns) > 0 && k.Columns[0].Column == c.Name {
			return append(all, inline{false, k.Name, k.Columns})
		}
	}
	return append(all, inline{false, "", []schema.Part{{Column: c.Name}}})
}

// inlined reports whether CreateTable declares this key.
func inlined(t *schema.Table, unique bool, name string) bool {
	return slices.ContainsFunc(inlines(t), func(k inline) bool { return k.unique == unique && k.name == name })
}

func indexed(t *schema.Table, column string) bool {
	in := func(parts []schema.Part) bool {
		for _, p := range parts {
			if p.Column == column {
				return true
			}
		}
		return false
	}
	if t.Primary != nil && in(t.Primary.Columns) {
		return true
	}
	for _, k := range t.Uniques {
		if in(k.Columns) {
			return true
		}
	}
	for _, k := range t.Indexes {
		if in(k.Columns) {
			return true
		}
	}
	for _, k := range t.Foreign {
		for _, c := range k.Columns {
			if c == column {
				return true
			}
		}
	}
	return false
}

// parts writes the columns of a key. A long text or blob is indexed by its first 191 characters.
func (d dialect) parts(t *schema.Table, parts []schema.Part) string {
	all := make([]string, len(parts))
	for i, p := range parts {
		switch {
		case p.Column == "":
			all[i] = "(" + p.Expression + ")"
		case p.Prefix > 0:
			all[i] = quote(p.Column) + "(" + strconv.Itoa(p.Prefix) + ")"
		default:
			all[i] = quote(p.Column)
			if c := t.Column(p.Column); c != nil && lob(c.Type) {
				all[i] += "(191)"
			}
		}
		if p.Descending && (!d.version.maria() || d.version.since(10, 8, 0)) {
			all[i] += " DESC"
		}
	}
	return strings.Join(all, ", ")
}

func lob(t schema.Type) bool {
	w := baseWord(t.Raw)
	return strings.HasSuffix(w, "text") || strings.HasSuffix(w, "blob")
}

func (d dialect) keyLine(t *schema.Table, unique bool, name string, parts []schema.Part) string {
	word := "KEY "
	if unique {
		word = "UNIQUE KEY "
	}
	if name != "" {
		word += quote(name) + " "
	}
	return word + "(" + d.parts(t, parts) + ")"
}

// buildable reports whether a key has a counterpart here: no condition, and no expression on MariaDB.
func (d dialect) buildable(where string, parts []schema.Part) bool {
	for _, p := range parts {
		if p.Column == "" && d.version.maria() {
			return false
		}
	}
	return where == "" && len(parts) > 0
}

// CreateKeys plans the unique keys and indexes, but those that CreateTable declared and those that have no counterpart
// here: partial ones, and on MariaDB those over expressions. A unique key over a text without a bound has none either,
// because only a part of the text could be indexed.
func (d dialect) CreateKeys(t *schema.Table) []driver.Statement {
	var all []driver.Statement
	add := func(purpose, line string) {
		all = append(all, driver.Statement{Purpose: purpose, SQL: "ALTER TABLE " + d.name(t.Name) + " ADD " + line})
	}
	for _, k := range t.Uniques {
		if inlined(t, true, k.Name) || !d.buildable(k.Where, k.Columns) || d.cut(t, k.Columns) {
			continue
		}
		add("add unique key "+k.Name+" of "+t.Name.String(), d.keyLine(t, true, k.Name, k.Columns))
	}
	for _, k := range t.Indexes {
		if inlined(t, false, k.Name) || !d.buildable(k.Where, k.Columns) {
			continue
		}
		line := d.keyLine(t, false, k.Name, k.Columns)
		switch k.Method {
		case "fulltext", "spatial":
			line = strings.ToUpper(k.Method) + " " + strings.ReplaceAll(line, "(191)", "")
		}
		add("add index "+k.Name+" of "+t.Name.String(), line)
	}
	return all
}

// cut reports whether a key would index only the first characters of a column that it means whole.
func (d dialect) cut(t *schema.Table, parts []schema.Part) bool {
	for _, p := range parts {
		if c := t.Column(p.Column); c != nil && p.Prefix == 0 && lob(c.Type) {
			return true
		}
	}
	return false
}

// CreateConstraints plans the foreign keys without reading the table, as our sessions do not check them, and one proof
// for each key and check: a query that fails with error 1242 when a row is found that breaks it.
func (d dialect) CreateConstraints(t *schema.Table) (add, prove []driver.Statement) {
	for _, k := range t.Foreign {
		sql := "ALTER TABLE " + d.name(t.Name) + " ADD " + named("CONSTRAINT", k.Name) + "FOREIGN KEY (" + list(k.Columns) +
			") REFERENCES " + d.name(k.Parent) + " (" + list(k.ParentCols) + ")" + action(" ON DELETE ", k.OnDelete) + action(" ON UPDATE ", k.OnUpdate)
		add = append(add, driver.Statement{Purpose: "add foreign key " + k.Name + " of " + t.Name.String(), SQL: sql})
		prove = append(prove, driver.Statement{Purpose: "prove foreign key " + k.Name + " of " + t.Name.String(), SQL: failing(d.orphans(t, k, "1"))})
	}
	for _, c := range t.Checks {
		prove = append(prove, driver.Statement{
			Purpose: "prove check " + c.Name + " of " + t.Name.String(),
			SQL:     failing("SELECT 1 FROM " + d.name(t.Name) + " WHERE NOT (" + c.Expression + ")"),
		})
	}
	return add, prove
}

// failing turns a query into one that fails when the query finds a row.
func failing(query string) string {
	return "SELECT IF(EXISTS(" + query + "), (SELECT 1 UNION ALL SELECT 2), 0)"
}

// action writes a foreign key's action. InnoDB has no SET DEFAULT: the strictest action stands for it.
func action(word string, a schema.Action) string {
	switch a {
	case "", schema.NoAction:
		return ""
	case schema.SetDefault:
		return word + string(schema.Restrict)
	}
	return word + string(a)
}

func (d dialect) orphans(t *schema.Table, k *schema.ForeignKey, what string) string {
	var on, set []string
	for i, c := range k.Columns {
		on = append(on, "p."+quote(k.ParentCols[i])+" = c."+quote(c))
		set = append(set, "c."+quote(c)+" IS NOT NULL")
	}
	return "SELECT " + what + " FROM " + d.name(t.Name) + " c LEFT JOIN " + d.name(k.Parent) + " p ON " + strings.Join(on, " AND ") +
		" WHERE " + strings.Join(set, " AND ") + " AND p." + quote(k.ParentCols[0]) + " IS NULL"
}

// Orphans plans the query for the first 100 keys of rows without a parent: the live key's columns, else the foreign key's.
func (d dialect) Orphans(t *schema.Table, k *schema.ForeignKey) string {
	names := k.Columns
	if live := t.LiveKey(); live != nil {
		names = live.Names()
	}
	what := make([]string, len(names))
	for i, n := range names {
		what[i] = "c." + quote(n)
	}
	return d.orphans(t, k, strings.Join(what, ", ")) + " LIMIT 100"
}

// DropTable plans a table's removal.
func (d dialect) DropTable(t *schema.Table) []driver.Statement {
	return []driver.Statement{{Purpose: "drop table " + t.Name.String(), SQL: "DROP TABLE IF EXISTS " + d.name(t.Name)}}
}

// CreateType and DropType plan nothing: the products have no types of the application's own.
func (dialect) CreateType(*schema.TypeDef) []driver.Statement { return nil }

// DropType plans nothing.
func (dialect) DropType(*schema.TypeDef) []driver.Statement { return nil }

// CreateSequence plans one of MariaDB's sequences.
func (d dialect) CreateSequence(q *schema.Sequence) []driver.Statement {
	cycle, lowest := " NOCYCLE", q.Min
	if q.Cycle {
		cycle = " CYCLE"
	}
	n := func(i int64) string { return strconv.FormatInt(i, 10) }
	sql := "CREATE SEQUENCE IF NOT EXISTS " + d.name(q.Name) + " START WITH " + n(q.Start) + " MINVALUE " + n(max(lowest, math.MinInt64+1)) +
		" MAXVALUE " + n(min(q.Max, math.MaxInt64-1)) + " INCREMENT BY " + n(q.Increment) + " CACHE " + n(q.Cache) + cycle
	return []driver.Statement{{Purpose: "create sequence " + q.Name.String(), SQL: sql}}
}

// DropSequence is the way back.
func (d dialect) DropSequence(q *schema.Sequence) []driver.Statement {
	return []driver.Statement{{Purpose: "drop sequence " + q.Name.String(), SQL: "DROP SEQUENCE IF EXISTS " + d.name(q.Name)}}
}
