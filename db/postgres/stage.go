package postgres

import (
	"context"
	_ "embed" // for the statements in sql/
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

//go:embed sql/uniques.sql
var uniquesQuery string

//go:embed sql/exact.sql
var exactQuery string

// stage is what a session keeps for applying to one table: two temporary tables, one for keys and one for rows, and the
// statements that carry from them into the table. They are made once a session, and again when the table's keys changed.
type stage struct {
	shape    string // the columns it was made for
	inPlace  bool   // rows that are there are updated where they are, else they go and come back
	goners   staged
	rows     staged
	remove   string   // deletes the rows of the staged keys
	displace []string // each deletes rows that hold a unique value about to be written, and returns their keys
	write    string
	settings string // of the transaction
}

// staged is one of the two temporary tables.
type staged struct {
	name   string
	copy   string
	codecs []codec
	layout layout
	filled bool // since it was made or emptied
}

// unique is a unique index of the catalog.
type unique struct {
	name        string
	expressions []string
	columns     []string // of plain columns
	where       string
	nullsEqual  bool
	arbiter     bool     // an upsert can name it
	operators   []string // by which it holds two values of a part equal
	fit         bool     // for searches
}

func (db *database) stage(ctx context.Context, s *session, d driver.Delta) (*stage, error) {
	shape := strings.Join(d.Shape.Names(), "\x00")
	if st := s.stages[d.Table.Number]; st != nil && st.shape == shape {
		return st, nil
	}
	st, err := db.newStage(ctx, s, d)
	if err != nil {
		return nil, err
	}
	st.shape = shape
	s.stages[d.Table.Number] = st
	return st, nil
}

// newStage makes the two tables and looks at the table's unique keys.
func (db *database) newStage(ctx context.Context, s *session, d driver.Delta) (*stage, error) {
	keys, rows := fmt.Sprintf("whimbrel_keys_%d", d.Table.Number), fmt.Sprintf("whimbrel_rows_%d", d.Table.Number)
	target := db.dialect().table(d.Table.Name)
	key := keyColumns(d.Shape, "")
	sql := fmt.Sprintf(`DROP TABLE IF EXISTS pg_temp.%[1]s; DROP TABLE IF EXISTS pg_temp.%[2]s;
		CREATE TEMPORARY TABLE %[1]s AS SELECT %[3]s FROM %[4]s WITH NO DATA;
		CREATE TEMPORARY TABLE %[2]s (LIKE %[4]s INCLUDING GENERATED)`, keys, rows, strings.Join(key, ", "), target)
	for _, c := range d.Table.Columns {
		if c.Generated == nil && !slices.Contains(d.Shape.Names(), c.Name) && !c.Null {
			sql += "; ALTER TABLE pg_temp." + rows + " ALTER COLUMN " + quote(c.Name) + " DROP NOT NULL"
		}
	}
	if err := s.exec(ctx, sql); err != nil {
		return nil, err
	}
	uniques, err := s.uniques(ctx, target)
	if err != nil {
		return nil, err
	}
	exact, err := s.exact(ctx, target, d.Shape)
	if err != nil {
		return nil, err
	}
	st := &stage{}
	if st.goners, err = db.staged(ctx, s, "pg_temp."+keys, d.Shape.Keys()); err != nil {
		return nil, err
	}
	if st.rows, err = db.staged(ctx, s, "pg_temp."+rows, d.Shape); err != nil {
		return nil, err
	}
	st.plan(target, d, uniques, exact)
	return st, nil
}

func (db *database) staged(ctx context.Context, s *session, name string, shape schema.Shape) (staged, error) {
	g := staged{name: name, codecs: db.codecs(shape), copy: "COPY " + name + " (" + quoteAll(shape.Names()) + ") FROM STDIN"}
	var err error
	g.layout, err = s.layout(ctx, name, shape, g.codecs)
	return g, err
}

// empty empties what the batches before have filled.
func (st *stage) empty() string {
	var names []string
	for _, g := range []*staged{&st.goners, &st.rows} {
		if g.filled {
			names, g.filled = append(names, g.name), false
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "TRUNCATE " + strings.Join(names, ", ") + ";"
}

// fill copies the rows of a batch in. The server's own error goes before that of the pipe it broke.
func (g *staged) fill(ctx context.Context, s *session, b *row.Batch) error {
	if b == nil || b.Len() == 0 {
		return nil
	}
	g.filled = true
	c := s.copyAs(ctx, g.copy, g.codecs, g.layout)
	if err := c.write(ctx, b); err != nil {
		cause := c.abort()
		var cell *driver.CellError
		if cause == nil || errors.Is(cause, errAborted) || errors.As(err, &cell) {
			return err
		}
		return cause
	}
	_, err := c.end(ctx)
	return err
}

func (s *session) uniques(ctx context.Context, target string) ([]unique, error) {
	r, err := s.query(ctx, uniquesQuery, target)
	if err != nil {
		return nil, err
	}
	all := make([]unique, len(r.Rows))
	for i, line := range r.Rows {
		u := unique{name: string(line[0]), where: string(line[3]), nullsEqual: line[4][0] == 't', arbiter: line[5][0] == 't', fit: line[7][0] == 't'}
		for at, into := range map[int]*[]string{1: &u.expressions, 2: &u.columns, 6: &u.operators} {
			if err := json.Unmarshal(line[at], into); err != nil {
				return nil, err
			}
		}
		all[i] = u
	}
	return all, nil
}

// exact reports whether equal keys are equal bytes.
func (s *session) exact(ctx context.Context, target string, shape schema.Shape) (bool, error) {
	names := make([]string, len(shape.Key))
	for i, k := range shape.Key {
		names[i] = shape.Columns[k].Column.Name
	}
	r, err := s.query(ctx, exactQuery, target, nameArray(names))
	return err == nil && string(r.Rows[0][0]) == "t", err
}

// nameArray writes names as the text of an array.
func nameArray(names []string) string {
	b := row.NewBatch(1)
	for _, n := range names {
		b.AppendString(n)
	}
	return string(textArray(b, 0, &codec{}))
}

// plan writes the statements. Where the key has an index of its own and equal keys are equal bytes, rows are updated where
// they are, after every row of another key that holds a unique value of theirs has gone: then each value about to be written
// is free or the row's own, in whatever order rows are written, and an upsert that is decided by the key can meet no other
// row (HAZARDS C9, C9a). Else the batch's rows go and come back, and so does whatever holds a unique value of theirs.
func (st *stage) plan(target string, d driver.Delta, uniques []unique, exact bool) {
	shape, key, names := d.Shape, keyColumns(d.Shape, ""), make([]string, 0, len(d.Shape.Key))
	for _, k := range shape.Key {
		names = append(names, shape.Columns[k].Column.Name)
	}
	own := slices.IndexFunc(uniques, func(u unique) bool { return u.arbiter && sameSet(u.columns, names) })
	st.inPlace = exact && own >= 0 && !forced(d.Table, names)
	operators := operatorsOf(names, uniques, own)
	st.remove = "DELETE FROM " + target + " AS t USING " + st.goners.name + " AS k WHERE " +
		equal(keyColumns(shape, "t."), keyColumns(shape, "k."), operators)
	if !exact {
		st.remove += " AND " + sameImage(keyColumns(shape, "t."), strings.Join(keyColumns(shape, "k."), ", "))
	}
	columns := quoteAll(shape.Names())
	st.write = "INSERT INTO " + target + " (" + columns + ") OVERRIDING SYSTEM VALUE SELECT " + columns + " FROM " + st.rows.name
	if own >= 0 && !slices.ContainsFunc(uniques, func(u unique) bool { return !u.fit }) {
		st.settings = lookups
	}
	if !st.inPlace {
		operators = nil
	} else {
		st.write += " ON CONFLICT (" + strings.Join(key, ", ") + ") DO " + update(shape, names)
	}
	for i, u := range uniques {
		if i != own || !exact {
			st.displace = append(st.displace, u.displace(target, st.rows.name, shape, operators))
		}
	}
}

// forced reports a column beside the key that takes a value in INSERT only: a generator that is always to be asked.
func forced(t *schema.Table, key []string) bool {
	return slices.ContainsFunc(t.Columns, func(c *schema.Column) bool {
		return c.Identity.Kind == schema.Always && !slices.Contains(key, c.Name)
	})
}

// operatorsOf are the operators that compare the columns of the key: those of its own index, where there is one, which a search
// can use it with.
func operatorsOf(names []string, uniques []unique, own int) []string {
	all := slices.Repeat([]string{"="}, len(names))
	if own < 0 || len(uniques[own].operators) != len(names) {
		return all
	}
	for i, n := range names {
		all[i] = uniques[own].operators[slices.Index(uniques[own].columns, n)]
	}
	return all
}

// equal compares values by operators.
func equal(left, right, operators []string) string {
	parts := make([]string, len(left))
	for i := range left {
		parts[i] = left[i] + " " + operators[i] + " " + right[i]
	}
	return strings.Join(parts, " AND ")
}

func update(shape schema.Shape, key []string) string {
	var set []string
	for _, n := range shape.Names() {
		if !slices.Contains(key, n) {
			set = append(set, quote(n)+" = EXCLUDED."+quote(n))
		}
	}
	if len(set) == 0 {
		return "NOTHING"
	}
	return "UPDATE SET " + strings.Join(set, ", ")
}

func sameSet(a, b []string) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(n string) bool { return !slices.Contains(b, n) })
}

// displace deletes the rows that hold a value of this unique key that is about to be written; where the operators of the key
// are given, only those of another key than the row that is to have it. The staged side shows names of ours alone, so that
// every bare name in the index's expressions is the table's.
func (u unique) displace(target, rows string, shape schema.Shape, key []string) string {
	var shown, match []string
	for i, e := range u.expressions {
		name, is := quote("whimbrel "+itoa(i)), " = "
		if len(u.operators) == len(u.expressions) {
			is = " " + u.operators[i] + " "
		}
		shown = append(shown, "("+e+") AS "+name)
		if u.nullsEqual {
			match = append(match, "(("+e+")"+is+"s."+name+" OR ("+e+") IS NULL AND s."+name+" IS NULL)")
		} else {
			match = append(match, "("+e+")"+is+"s."+name)
		}
	}
	if key != nil {
		here, there := keyColumns(shape, ""), make([]string, len(key))
		for i := range key {
			name := quote("whimbrel key " + itoa(i))
			shown, there[i] = append(shown, here[i]+" AS "+name), "s."+name
		}
		match = append(match, "NOT ("+equal(keyColumns(shape, "t."), there, key)+")")
	}
	staged := "SELECT " + strings.Join(shown, ", ") + " FROM " + rows
	if u.where != "" {
		staged += " WHERE " + u.where
		match = append(match, "("+u.where+")")
	}
	return "DELETE FROM " + target + " AS t USING (" + staged + ") AS s WHERE " + strings.Join(match, " AND ") +
		" RETURNING " + strings.Join(keyColumns(shape, "t."), ", ")
}
