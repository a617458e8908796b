package oracle

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Difference is what is not the same in one table.
type Difference struct {
	Table   string
	Why     string   // when the tables themselves differ
	Source  int      // rows only the source has
	Target  int      // rows only the target has
	Example []string // at most ten rows, with a + before those of the target and a - before those of the source
}

// String gives the difference for a test's output.
func (d Difference) String() string {
	if d.Why != "" {
		return d.Table + ": " + d.Why
	}
	return fmt.Sprintf("%s: %d rows only at the source, %d only at the target:\n\t%s", d.Table, d.Source, d.Target, strings.Join(d.Example, "\n\t"))
}

// Verdict is what a comparison found.
type Verdict struct {
	Rows        map[string]int64 // of each table at the source
	Differences []Difference
}

// Equal reports that every table of the source is at the target with the same rows and nothing else is there.
func (v Verdict) Equal() bool { return len(v.Differences) == 0 }

// Compare compares every table of both databases, row by row, as sets that count duplicates.
func Compare(source, target *Database) (Verdict, error) {
	v := Verdict{Rows: map[string]int64{}}
	mine, err := source.Tables()
	if err != nil {
		return v, err
	}
	theirs, err := target.Tables()
	if err != nil {
		return v, err
	}
	for _, t := range theirs {
		if find(mine, t.Name) == nil {
			v.Differences = append(v.Differences, Difference{Table: t.Name, Why: "only at the target"})
		}
	}
	for _, t := range mine {
		other := find(theirs, t.Name)
		if other == nil {
			v.Differences = append(v.Differences, Difference{Table: t.Name, Why: "only at the source"})
			continue
		}
		d, rows, err := compare(source, target, t, other)
		if err != nil {
			return v, fmt.Errorf("compare %s: %w", t.Name, err)
		}
		v.Rows[t.Name] = rows
		if d != nil {
			v.Differences = append(v.Differences, *d)
		}
	}
	return v, nil
}

func find(tables []*Table, name string) *Table {
	for _, t := range tables {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// compare counts each row up for the source and down for the target; what is not zero then is different.
func compare(source, target *Database, a, b *Table) (*Difference, int64, error) {
	families, why := together(source, target, a, b)
	if why != "" {
		return &Difference{Table: a.Name, Why: why}, 0, nil
	}
	counts := map[string]int{}
	var rows int64
	if err := source.rows(a, a.Columns, families, func(row string) { counts[row]++; rows++ }); err != nil {
		return nil, 0, err
	}
	if err := target.rows(b, a.Columns, families, func(row string) {
		if counts[row]--; counts[row] == 0 {
			delete(counts, row)
		}
	}); err != nil {
		return nil, 0, err
	}
	d := &Difference{Table: a.Name}
	for row, n := range counts {
		if n > 0 {
			d.Source += n
		} else if n < 0 {
			d.Target -= n
		}
		if n != 0 {
			d.Example = append(d.Example, example(a, row, n))
		}
	}
	if d.Source == 0 && d.Target == 0 {
		return nil, rows, nil
	}
	slices.SortFunc(d.Example, func(x, y string) int { return strings.Compare(x[1:], y[1:]) })
	d.Example = d.Example[:min(10, len(d.Example))]
	return d, rows, nil
}

// together finds the family of each column of the source in which both sides are compared.
func together(source, target *Database, a, b *Table) ([]family, string) {
	var families []family
	for _, c := range a.Columns {
		i := slices.IndexFunc(b.Columns, func(o Column) bool { return o.Name == c.Name })
		if i < 0 {
			return nil, "column " + c.Name + " is only at the source"
		}
		families = append(families, common(source.family(c.Type), target.family(b.Columns[i].Type)))
	}
	if len(b.Columns) != len(a.Columns) {
		return nil, fmt.Sprintf("%d columns at the source, %d at the target", len(a.Columns), len(b.Columns))
	}
	return families, ""
}

// rows prints these columns of a table and hands out each row in the form that equal rows share.
func (d *Database) rows(t *Table, columns []Column, families []family, each func(row string)) error {
	own := make([]family, len(columns))
	list := make([]string, len(columns))
	for i, c := range columns {
		at := slices.IndexFunc(t.Columns, func(o Column) bool { return o.Name == c.Name })
		list[i], own[i] = d.expression(t.Columns[at]), d.family(t.Columns[at].Type)
	}
	sql := "SELECT " + strings.Join(list, ",") + " FROM " + d.name(t)
	if d.Product == "postgres" {
		only := " FROM ONLY "
		if t.Whole {
			only = " FROM "
		}
		sql = "COPY (SELECT " + strings.Join(list, ",") + only + d.name(t) + ") TO STDOUT"
	}
	return d.lines(sql+";\n", func(line []byte) error {
		cells := bytes.Split(line, []byte("\t"))
		if len(cells) != len(columns) {
			return fmt.Errorf("%d cells for %d columns in %.100q", len(cells), len(columns), line)
		}
		var row strings.Builder
		for i, cell := range cells {
			v, err := d.read(cell, own[i])
			if err != nil {
				return fmt.Errorf("column %s: %w", columns[i].Name, err)
			}
			cell := same(v, families[i])
			row.WriteString(strconv.Itoa(len(cell)) + ":" + cell)
		}
		each(row.String())
		return nil
	})
}

// example writes one row for people: sign, key, then the whole row, shortened.
func example(t *Table, row string, n int) string {
	sign := "-"
	if n < 0 {
		sign, n = "+", -n
	}
	var key []string
	cells := split(row)
	for i, c := range t.Columns {
		if slices.Contains(t.Key, c.Name) {
			key = append(key, cells[i])
		}
	}
	return fmt.Sprintf("%s(%s) x%d %.200q", sign, strings.Join(key, ","), n, strings.Join(cells, "|"))
}

// split takes a row in the form that equal rows share apart into its cells.
func split(row string) []string {
	var cells []string
	for row != "" {
		size, rest, _ := strings.Cut(row, ":")
		n, err := strconv.Atoi(size)
		if err != nil {
			return append(cells, row)
		}
		cells, row = append(cells, rest[:n]), rest[n:]
	}
	return cells
}
