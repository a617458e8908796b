package postgres

import (
	"context"
	_ "embed"
	"encoding/json"
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
	empty    string
	copyKeys string
	copyRows string
	remove   string   // the rows of the batch's keys, or of those that are not written again
	displace []string // rows that hold a unique value about to be written; they return their keys
	write    string
	keys     []codec
	rows     []codec
}

// unique is a unique index of the catalog.
type unique struct {
	name        string
	expressions []string
	columns     []string // of plain columns
	where       string
	nullsEqual  bool
	arbiter     bool // an upsert can name it
}

func (db *database) stage(ctx context.Context, s *session, d driver.Delta) (*stage, error) {
	shape := strings.Join(d.Shape.Names(), "\x00")
	if st := s.stages[d.Table.Number]; st != nil && st.shape == shape {
		return st, nil
	}
	keys, rows := fmt.Sprintf("pg_temp.whimbrel_keys_%d", d.Table.Number), fmt.Sprintf("pg_temp.whimbrel_rows_%d", d.Table.Number)
	target := db.dialect().table(d.Table.Name)
	key := keyColumns(d.Shape, "")
	sql := fmt.Sprintf(`DROP TABLE IF EXISTS %[1]s; DROP TABLE IF EXISTS %[2]s;
		CREATE TEMPORARY TABLE %[3]s AS SELECT %[4]s FROM %[5]s WITH NO DATA;
		CREATE TEMPORARY TABLE %[6]s (LIKE %[5]s INCLUDING GENERATED)`,
		keys, rows, keys[8:], strings.Join(key, ", "), target, rows[8:])
	for _, c := range d.Table.Columns {
		if c.Generated == nil && !slices.Contains(d.Shape.Names(), c.Name) && !c.Null {
			sql += "; ALTER TABLE " + rows + " ALTER COLUMN " + quote(c.Name) + " DROP NOT NULL"
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
	st := &stage{shape: shape, keys: db.codecs(d.Shape.Keys()), rows: db.codecs(d.Shape)}
	st.empty = "TRUNCATE " + keys + ", " + rows
	st.copyKeys = "COPY " + keys + " FROM STDIN"
	st.copyRows = "COPY " + rows + " (" + quoteAll(d.Shape.Names()) + ") FROM STDIN"
	st.plan(target, keys, rows, d.Shape, uniques, exact)
	s.stages[d.Table.Number] = st
	return st, nil
}

func (s *session) uniques(ctx context.Context, target string) ([]unique, error) {
	r, err := s.query(ctx, uniquesQuery, target)
	if err != nil {
		return nil, err
	}
	all := make([]unique, len(r.Rows))
	for i, line := range r.Rows {
		u := unique{name: string(line[0]), where: string(line[3]), nullsEqual: line[4][0] == 't', arbiter: line[5][0] == 't'}
		if err := json.Unmarshal(line[1], &u.expressions); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(line[2], &u.columns); err != nil {
			return nil, err
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

// plan writes the statements. Where the only unique key is the key itself, rows are updated in place; else they go and come
// back, and so does whatever holds a unique value of theirs (HAZARDS C9, C9a).
func (st *stage) plan(target, keys, rows string, shape schema.Shape, uniques []unique, exact bool) {
	key, names := keyColumns(shape, ""), make([]string, 0, len(shape.Key))
	for _, k := range shape.Key {
		names = append(names, shape.Columns[k].Column.Name)
	}
	own := slices.IndexFunc(uniques, func(u unique) bool { return u.arbiter && sameSet(u.columns, names) })
	columns := quoteAll(shape.Names())
	st.write = "INSERT INTO " + target + " (" + columns + ") OVERRIDING SYSTEM VALUE SELECT " + columns + " FROM " + rows
	st.remove = "DELETE FROM " + target + " AS t USING " + keys + " AS k WHERE " + matchKeys(key, exact)
	if exact && own >= 0 && len(uniques) == 1 {
		st.remove += " AND NOT EXISTS (SELECT FROM " + rows + " AS r WHERE " + equal(key, "r.", "k.") + ")"
		st.write += " ON CONFLICT (" + strings.Join(key, ", ") + ") DO " + update(shape, names)
		return
	}
	returning := strings.Join(keyColumns(shape, "t."), ", ")
	for i, u := range uniques {
		if i != own || !exact {
			st.displace = append(st.displace, u.displace(target, rows, returning))
		}
	}
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

func equal(columns []string, left, right string) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = left + c + " = " + right + c
	}
	return strings.Join(parts, " AND ")
}

// matchKeys compares byte by byte: by the index first, then, where equal values may differ in bytes, by their image.
func matchKeys(key []string, exact bool) string {
	match := equal(key, "t.", "k.")
	if exact {
		return match
	}
	return match + " AND ROW(t." + strings.Join(key, ", t.") + ")::record OPERATOR(pg_catalog.*=) ROW(k." + strings.Join(key, ", k.") + ")::record"
}

// displace deletes the rows that hold a value of this unique key that is about to be written. The staged side shows only
// names of ours, so that every bare name in the index's expressions is the table's.
func (u unique) displace(target, rows, returning string) string {
	var shown, match []string
	for i, e := range u.expressions {
		name := quote("whimbrel " + itoa(i))
		shown = append(shown, "("+e+") AS "+name)
		if u.nullsEqual {
			match = append(match, "(("+e+") = s."+name+" OR ("+e+") IS NULL AND s."+name+" IS NULL)")
		} else {
			match = append(match, "("+e+") = s."+name)
		}
	}
	staged := "SELECT " + strings.Join(shown, ", ") + " FROM " + rows
	if u.where != "" {
		staged += " WHERE " + u.where
		match = append(match, "("+u.where+")")
	}
	return "DELETE FROM " + target + " AS t USING (" + staged + ") AS s WHERE " + strings.Join(match, " AND ") +
		" RETURNING " + returning
}
