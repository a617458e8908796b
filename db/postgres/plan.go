package postgres

import (
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// dialect is PostgreSQL's language.
type dialect struct {
	home    string // where unqualified names live
	version int
}

func (db *database) dialect() dialect { return dialect{home: db.home, version: db.version} }

// Quote writes an identifier.
func (dialect) Quote(name string) string { return quote(name) }

// table writes a full name.
func (d dialect) table(n schema.Name) string {
	if n.Schema == "" {
		n.Schema = d.home
	}
	return quote(n.Schema) + "." + quote(n.Name)
}

// ensure makes a schema where it is missing; CREATE SCHEMA IF NOT EXISTS asks for a right even where it does nothing.
func (d dialect) ensure(n schema.Name) []driver.Statement {
	if n.Schema == "" || n.Schema == d.home {
		return nil
	}
	body := "BEGIN IF to_regnamespace(" + literal(quote(n.Schema)) + ") IS NULL THEN CREATE SCHEMA " + quote(n.Schema) + "; END IF; END"
	return []driver.Statement{{Purpose: "create schema " + n.Schema, SQL: "DO " + literal(body)}}
}

// CreateTable plans schema, sequences, the table without its keys, and comments.
func (d dialect) CreateTable(t *schema.Table) []driver.Statement {
	all := d.ensure(t.Name)
	columns := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		if d.drawn(c) {
			all = append(all, d.ownSequence(t, c))
		}
		columns[i] = d.column(t, c)
	}
	kind := "TABLE"
	if t.Options.Unlogged {
		kind = "UNLOGGED TABLE"
	}
	all = append(all, driver.Statement{
		Purpose: "create table " + t.Name.String(),
		SQL:     "CREATE " + kind + " IF NOT EXISTS " + d.table(t.Name) + " (\n\t" + strings.Join(columns, ",\n\t") + "\n)",
	})
	for _, c := range t.Columns {
		if d.drawn(c) {
			all = append(all, driver.Statement{
				Purpose: "give the sequence of " + t.Name.String() + "." + c.Name + " to its column",
				SQL:     "ALTER SEQUENCE " + d.table(d.sequenceName(t, c)) + " OWNED BY " + d.table(t.Name) + "." + quote(c.Name),
			})
		}
	}
	return append(all, d.comments(t)...)
}

func (d dialect) comments(t *schema.Table) []driver.Statement {
	var all []driver.Statement
	if t.Comment != "" {
		all = append(all, driver.Statement{
			Purpose: "comment on table " + t.Name.String(),
			SQL:     "COMMENT ON TABLE " + d.table(t.Name) + " IS " + literal(t.Comment),
		})
	}
	for _, c := range t.Columns {
		if c.Comment != "" {
			all = append(all, driver.Statement{
				Purpose: "comment on column " + t.Name.String() + "." + c.Name,
				SQL:     "COMMENT ON COLUMN " + d.table(t.Name) + "." + quote(c.Name) + " IS " + literal(c.Comment),
			})
		}
	}
	return all
}

// drawn reports a generator that must be a sequence with a default: a serial column, and one on a type that an identity
// can not have, such as the numeric that an unsigned 64-bit number becomes.
func (d dialect) drawn(c *schema.Column) bool {
	if c.Identity.Kind == schema.None {
		return false
	}
	integer := slices.Contains([]string{"smallint", "integer", "bigint"}, d.sql(c.Type))
	return c.Identity.Sequence.Name != "" || !integer
}

func (d dialect) sequenceName(t *schema.Table, c *schema.Column) schema.Name {
	if c.Identity.Sequence.Name != "" {
		return c.Identity.Sequence
	}
	return schema.Name{Schema: t.Name.Schema, Name: d.short(t.Name.Name + "_" + c.Name + "_seq")}
}

// short cuts a name of ours to what the server keeps, with a hash so that two long names stay two.
func (dialect) short(name string) string {
	if len(name) <= 63 {
		return name
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	cut := 54
	for cut > 0 && name[cut]&0xC0 == 0x80 {
		cut--
	}
	return fmt.Sprintf("%s_%08x", name[:cut], h.Sum32())
}

func (d dialect) ownSequence(t *schema.Table, c *schema.Column) driver.Statement {
	n := d.sequenceName(t, c)
	kind := ""
	if k := d.sql(c.Type); k == "smallint" || k == "integer" {
		kind = " AS " + k
	}
	return driver.Statement{
		Purpose: "create sequence " + n.String(),
		SQL:     "CREATE SEQUENCE IF NOT EXISTS " + d.table(n) + kind + steps(c.Identity),
	}
}

func steps(i schema.Identity) string {
	text := ""
	if i.Increment != 0 && i.Increment != 1 {
		text += fmt.Sprintf(" INCREMENT BY %d", i.Increment)
	}
	if i.Start != 0 && i.Start != 1 {
		text += fmt.Sprintf(" START WITH %d", i.Start)
		if i.Increment >= 0 && i.Start < 1 {
			text += fmt.Sprintf(" MINVALUE %d", i.Start)
		}
	}
	return text
}

func (d dialect) column(t *schema.Table, c *schema.Column) string {
	text := quote(c.Name) + " " + d.sql(c.Type)
	if c.Type.Collation != "" && strings.Contains(c.Type.Collation, ".") && c.Type.Kind == row.Text {
		text += " COLLATE " + c.Type.Collation
	}
	switch {
	case c.Generated != nil && !c.Generated.Stored && d.version >= 180000:
		text += " GENERATED ALWAYS AS (" + c.Generated.Expression + ") VIRTUAL"
	case c.Generated != nil:
		text += " GENERATED ALWAYS AS (" + c.Generated.Expression + ") STORED"
	case d.drawn(c):
		text += " DEFAULT nextval(" + literal(d.table(d.sequenceName(t, c))) + "::regclass)"
	case c.Identity.Kind != schema.None:
		text += map[schema.IdentityKind]string{
			schema.ByDefault: " GENERATED BY DEFAULT AS IDENTITY", schema.Always: " GENERATED ALWAYS AS IDENTITY",
		}[c.Identity.Kind]
		if s := steps(c.Identity); s != "" {
			text += " (" + strings.TrimSpace(s) + ")"
		}
	case c.Default != nil:
		text += " DEFAULT " + d.defaultSQL(c)
	}
	if !c.Null {
		text += " NOT NULL"
	}
	return text
}

func (d dialect) defaultSQL(c *schema.Column) string {
	kind, known := kinds[plain(d.sql(c.Type))]
	if !known {
		kind = c.Type.Kind
	}
	switch c.Default.Kind {
	case schema.Literal:
		if kind == row.Bytes {
			return literal(`\x` + hex.EncodeToString([]byte(c.Default.Text)))
		}
		return literal(c.Default.Text)
	case schema.Now:
		return map[row.Kind]string{
			row.Date: "CURRENT_DATE", row.Time: "LOCALTIME", row.Timestamp: "LOCALTIMESTAMP",
		}[kind] + map[bool]string{true: "CURRENT_TIMESTAMP"}[kind != row.Date && kind != row.Time && kind != row.Timestamp]
	case schema.RandomUUID:
		if d.version > 0 && d.version < 130000 {
			return "(md5(random()::text || clock_timestamp()::text))::uuid" + textCast(kind)
		}
		return "(gen_random_uuid())" + textCast(kind)
	}
	return c.Default.Text
}

func textCast(kind row.Kind) string {
	if kind == row.Text {
		return "::text"
	}
	return ""
}

// CreateType plans enums, domains, composites and ranges.
func (d dialect) CreateType(t *schema.TypeDef) []driver.Statement {
	sql := ""
	switch t.What {
	case "enum":
		values := make([]string, len(t.Values))
		for i, v := range t.Values {
			values[i] = literal(v)
		}
		sql = "CREATE TYPE " + d.table(t.Name) + " AS ENUM (" + strings.Join(values, ", ") + ")"
	case "domain":
		sql = "CREATE DOMAIN " + d.table(t.Name) + " AS " + d.sql(t.Base)
		if t.Raw != "" {
			sql += " DEFAULT " + t.Raw
		}
		if !t.Null {
			sql += " NOT NULL"
		}
		for _, c := range t.Checks {
			sql += " CONSTRAINT " + quote(c.Name) + " CHECK (" + c.Expression + ")"
		}
	case "composite", "range":
		sql = "CREATE TYPE " + d.table(t.Name) + " AS " + t.Raw
	default:
		return nil
	}
	return append(d.ensure(t.Name), driver.Statement{Purpose: "create type " + t.Name.String(), SQL: sql})
}

// DropType plans the removal of a type.
func (d dialect) DropType(t *schema.TypeDef) []driver.Statement {
	what := "TYPE"
	if t.What == "domain" {
		what = "DOMAIN"
	}
	return []driver.Statement{{Purpose: "drop type " + t.Name.String(), SQL: "DROP " + what + " IF EXISTS " + d.table(t.Name)}}
}

// DropTable plans the removal of a table; foreign keys of others that point to it go with it.
func (d dialect) DropTable(t *schema.Table) []driver.Statement {
	return []driver.Statement{{Purpose: "drop table " + t.Name.String(), SQL: "DROP TABLE IF EXISTS " + d.table(t.Name) + " CASCADE"}}
}

// CreateSequence plans a free sequence; one that belongs to a column is made with its table.
func (d dialect) CreateSequence(s *schema.Sequence) []driver.Statement {
	if s.Owner.Name != "" {
		return nil
	}
	sql := "CREATE SEQUENCE IF NOT EXISTS " + d.table(s.Name)
	if s.Increment != 0 {
		sql += fmt.Sprintf(" INCREMENT BY %d", s.Increment)
	}
	if s.Min != 0 || s.Max != 0 {
		sql += fmt.Sprintf(" MINVALUE %d MAXVALUE %d", s.Min, s.Max)
	}
	if s.Start != 0 {
		sql += fmt.Sprintf(" START WITH %d", s.Start)
	}
	if s.Cache > 1 {
		sql += fmt.Sprintf(" CACHE %d", s.Cache)
	}
	if s.Cycle {
		sql += " CYCLE"
	}
	return append(d.ensure(s.Name), driver.Statement{Purpose: "create sequence " + s.Name.String(), SQL: sql})
}

// DropSequence plans the removal of a free sequence.
func (d dialect) DropSequence(s *schema.Sequence) []driver.Statement {
	if s.Owner.Name != "" {
		return nil
	}
	return []driver.Statement{{Purpose: "drop sequence " + s.Name.String(), SQL: "DROP SEQUENCE IF EXISTS " + d.table(s.Name)}}
}
