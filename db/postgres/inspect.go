package postgres

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

//go:embed sql/tables.sql sql/columns.sql sql/indexes.sql sql/constraints.sql sql/sequences.sql sql/types.sql sql/others.sql
var catalog embed.FS

// inspection gathers a schema from the catalog, one query a kind of thing, all in one snapshot.
type inspection struct {
	session *session
	schemas string
	found   *schema.Schema
	tables  map[string]*schema.Table // by object id
	err     error
}

// Inspect describes the named schemas; the default one when none is named.
func (db *database) Inspect(ctx context.Context, schemas []string) (*schema.Schema, error) {
	l, err := db.keeper(ctx)
	if err != nil {
		return nil, err
	}
	defer l.release()
	defer l.rollback(ctx)
	if len(schemas) == 0 {
		schemas = []string{db.home}
	}
	if err := l.exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return nil, fmt.Errorf("inspect %s: %w", strings.Join(schemas, ", "), err)
	}
	in := &inspection{session: l.session, schemas: nameArray(schemas), found: &schema.Schema{}, tables: map[string]*schema.Table{}}
	for _, part := range []struct {
		file string
		line func(v [][]byte)
	}{
		{"tables", in.table},
		{"columns", in.column},
		{"indexes", in.index},
		{"constraints", in.constraint},
		{"sequences", in.sequence},
		{"types", in.typeDef},
		{"others", in.other},
	} {
		in.each(ctx, part.file, part.line)
	}
	if in.err != nil {
		return nil, fmt.Errorf("inspect %s: %w", strings.Join(schemas, ", "), in.err)
	}
	return in.found, l.exec(ctx, "COMMIT")
}

func (in *inspection) each(ctx context.Context, file string, line func(v [][]byte)) {
	if in.err != nil {
		return
	}
	text, err := catalog.ReadFile("sql/" + file + ".sql")
	if err == nil {
		r, failed := in.session.query(ctx, string(text), in.schemas)
		if err = failed; err == nil {
			for _, v := range r.Rows {
				line(v)
			}
		}
	}
	if err != nil && in.err == nil {
		in.err = fmt.Errorf("read the catalog's %s: %w", file, err)
	}
}

func (in *inspection) json(text []byte, into any) {
	if err := json.Unmarshal(text, into); err != nil && in.err == nil {
		in.err = err
	}
}

func yes(v []byte) bool { return len(v) == 1 && v[0] == 't' }

func name(space, name []byte) schema.Name {
	return schema.Name{Schema: string(space), Name: string(name)}
}

type jsonName struct {
	Schema string `json:"schema"`
	Name   string `json:"name"`
}

func (in *inspection) names(text []byte) []schema.Name {
	var read []jsonName
	in.json(text, &read)
	all := make([]schema.Name, len(read))
	for i, n := range read {
		all[i] = schema.Name(n)
	}
	return slices.Clip(all)
}

func (in *inspection) table(v [][]byte) {
	t := &schema.Table{Name: name(v[0], v[1]), Comment: string(v[5]), Rows: number(v[6]), Bytes: number(v[7])}
	t.Options.Partitioned, t.Options.Unlogged, t.Options.RowSecurity = yes(v[2]), yes(v[3]), yes(v[4])
	in.json(v[8], &t.Options.Partitions)
	t.Options.Inherits = in.names(v[9])
	if !t.Options.Partitioned {
		t.Options.Children = in.names(v[10])
	}
	in.tables[string(v[11])] = t
	in.found.Tables = append(in.found.Tables, t)
}

func (in *inspection) column(v [][]byte) {
	t := in.tables[string(v[0])]
	if t == nil {
		return
	}
	c := &schema.Column{Name: string(v[1]), Type: describe(string(v[3])), Null: yes(v[7]), Comment: string(v[18])}
	c.Type.Raw, c.Type.Def = string(v[2]), name(v[4], v[5])
	in.json(v[6], &c.Type.Values)
	c.Type = textual(c.Type, v)
	in.origin(c, v)
	t.Columns = append(t.Columns, c)
}

// textual completes the types whose values are text: enums, citext, and how text is compared.
func textual(t schema.Type, v [][]byte) schema.Type {
	if len(t.Values) > 0 {
		t.Kind, t.Binary = textKind, true
		return t
	}
	t.Values = nil
	if yes(v[19]) {
		t.Kind, t.Collation = textKind, "citext"
		return t
	}
	if t.Kind == textKind {
		t.Binary = yes(v[16]) && !t.Fixed
		if yes(v[17]) {
			t.Collation = string(v[15])
		}
	}
	return t
}

// origin tells where a column's values come from when none is given.
func (in *inspection) origin(c *schema.Column, v [][]byte) {
	words, sequence := string(v[8]), name(v[11], v[12])
	start, step := number(v[13]), number(v[14])
	switch {
	case string(v[9]) != "":
		c.Identity = schema.Identity{Kind: schema.ByDefault, Start: start, Increment: step}
		if v[9][0] == 'a' {
			c.Identity.Kind = schema.Always
		}
	case string(v[10]) != "":
		c.Generated = &schema.Generated{Expression: words, Stored: v[10][0] == 's'}
	case sequence.Name != "" && strings.HasPrefix(words, "nextval("):
		c.Identity = schema.Identity{Kind: schema.ByDefault, Sequence: sequence, Start: start, Increment: step}
	case words != "":
		c.Default = readDefault(words, c.Type)
	}
}

type jsonPart struct {
	Column     string `json:"column"`
	Expression string `json:"expression"`
	Descending bool   `json:"descending"`
	Nulls      bool   `json:"nulls"`
	Collation  string `json:"collation"`
	OpClass    string `json:"opclass"`
}

func (in *inspection) index(v [][]byte) {
	t := in.tables[string(v[0])]
	if t == nil || string(v[9]) == "x" {
		return
	}
	var read []jsonPart
	var include []string
	in.json(v[11], &read)
	in.json(v[12], &include)
	parts := make([]schema.Part, len(read))
	for i, p := range read {
		parts[i] = schema.Part{
			Column: p.Column, Expression: p.Expression, Descending: p.Descending, Collation: p.Collation, OpClass: p.OpClass,
			NullsFirst: p.Nulls,
		}
	}
	if !yes(v[3]) {
		t.Indexes = append(t.Indexes, &schema.Index{
			Name: string(v[1]), Columns: parts, Include: include, Method: string(v[4]), Where: string(v[5]), Raw: string(v[10]),
		})
		return
	}
	k := &schema.Key{
		Name: string(v[1]), Columns: parts, Constraint: yes(v[7]), Deferrable: yes(v[8]), Where: string(v[5]),
		NullsEqual: yes(v[6]), Method: string(v[4]), Raw: string(v[10]),
	}
	if yes(v[2]) {
		t.Primary = k
	} else {
		t.Uniques = append(t.Uniques, k)
	}
}

var actions = map[string]schema.Action{
	"a": schema.NoAction, "r": schema.Restrict, "c": schema.Cascade, "n": schema.SetNull, "d": schema.SetDefault,
}

func (in *inspection) constraint(v [][]byte) {
	t := in.tables[string(v[0])]
	if t == nil {
		return
	}
	if string(v[2]) == "c" {
		t.Checks = append(t.Checks, &schema.Check{Name: string(v[1]), Expression: string(v[13]), Unproven: yes(v[12])})
		return
	}
	k := &schema.ForeignKey{
		Name: string(v[1]), Parent: name(v[4], v[5]), OnDelete: actions[string(v[7])], OnUpdate: actions[string(v[8])],
		MatchFull: yes(v[9]), Deferrable: yes(v[10]), Deferred: yes(v[11]), Unproven: yes(v[12]),
	}
	in.json(v[3], &k.Columns)
	in.json(v[6], &k.ParentCols)
	t.Foreign = append(t.Foreign, k)
}

func (in *inspection) sequence(v [][]byte) {
	s := &schema.Sequence{
		Name: name(v[0], v[1]), Start: number(v[2]), Increment: number(v[3]), Min: number(v[4]), Max: number(v[5]),
		Cycle: yes(v[6]), Cache: number(v[7]), Column: string(v[10]),
	}
	if s.Column != "" {
		s.Owner = name(v[8], v[9])
	}
	in.found.Sequences = append(in.found.Sequences, s)
}

func (in *inspection) typeDef(v [][]byte) {
	d := &schema.TypeDef{
		Name: name(v[0], v[1]), What: map[string]string{"e": "enum", "d": "domain", "c": "composite", "r": "range"}[string(v[2])],
		Null: yes(v[5]), Raw: string(v[8]),
	}
	in.json(v[3], &d.Values)
	var checks []struct {
		Name       string `json:"name"`
		Expression string `json:"expression"`
		Unproven   bool   `json:"unproven"`
	}
	in.json(v[7], &checks)
	for _, c := range checks {
		d.Checks = append(d.Checks, &schema.Check{Name: c.Name, Expression: c.Expression, Unproven: c.Unproven})
	}
	if d.What == "domain" {
		d.Base = describe(string(v[4]))
		d.Raw = string(v[6])
	}
	in.found.Types = append(in.found.Types, d)
}

func (in *inspection) other(v [][]byte) {
	in.found.Others = append(in.found.Others, schema.Object{What: string(v[0]), Name: name(v[1], v[2]), Table: name(v[3], v[4])})
}

var _ driver.Inspector = (*database)(nil)
