package memory

import (
	"context"
	"slices"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

type executor struct{ *role }

func (r executor) Execute(ctx context.Context, st driver.Statement) error {
	return r.do(ctx, call{op: "Executor.Execute", about: st.Purpose, commits: true}, func() error { return r.execute(st.SQL) })
}

type inspector struct{ *role }

func (r inspector) Inspect(ctx context.Context, schemas []string) (*schema.Schema, error) {
	found := &schema.Schema{}
	err := r.do(ctx, call{op: "Inspector.Inspect"}, func() error {
		if len(schemas) == 0 {
			schemas = []string{"main"}
		}
		for _, t := range r.tables {
			if !slices.Contains(schemas, t.def.Name.Schema) {
				continue
			}
			c := clone(t.def)
			c.Number, c.Rows, c.Bytes = 0, 0, 0
			for _, it := range t.rows.items {
				if it.now != nil {
					c.Rows, c.Bytes = c.Rows+1, c.Bytes+int64(len(*it.now))
				}
			}
			found.Tables = append(found.Tables, c)
		}
		for n, next := range r.places {
			if slices.Contains(schemas, n.Schema) {
				found.Sequences = append(found.Sequences, &schema.Sequence{Name: n, Start: next, Increment: 1})
			}
		}
		slices.SortFunc(found.Sequences, func(a, b *schema.Sequence) int {
			return strings.Compare(a.Name.String(), b.Name.String())
		})
		slices.SortFunc(found.Tables, func(a, b *schema.Table) int { return strings.Compare(a.Name.String(), b.Name.String()) })
		return nil
	})
	return found, err
}

func (r inspector) Settings(ctx context.Context) ([]driver.Notice, error) {
	return nil, context.Cause(ctx)
}

type surveyor struct{ *role }

// Survey finds the longest values and NUL in text, asked or not; other facts can not be in canonical cells.
func (r surveyor) Survey(ctx context.Context, t *schema.Table, _ driver.Questions) (facts []driver.Fact, err error) {
	err = r.do(ctx, call{op: "Surveyor.Survey", about: t.Name.Name}, func() error {
		own, err := r.table(t.Name)
		if err != nil {
			return err
		}
		for i, c := range own.def.Columns {
			if c.Type.Kind == row.Text || c.Type.Kind == row.Bytes {
				facts = append(facts, own.survey(c, i)...)
			}
		}
		return nil
	})
	return facts, err
}

func (t *table) survey(c *schema.Column, i int) []driver.Fact {
	longest := driver.Fact{Column: c.Name, What: driver.Longest}
	nul := driver.Fact{Column: c.Name, What: driver.NulInText}
	for _, it := range t.rows.items {
		if it.now == nil {
			continue
		}
		cells, _ := row.Key(*it.now).Cells()
		if cells[i] == nil {
			continue
		}
		longest.Count, longest.Value = longest.Count+1, max(longest.Value, int64(len(cells[i])))
		if c.Type.Kind == row.Text && slices.Contains(cells[i], 0) {
			nul.Count++
		}
	}
	var facts []driver.Fact
	if c.Type.Length == 0 && longest.Count > 0 {
		facts = append(facts, longest)
	}
	if nul.Count > 0 {
		facts = append(facts, nul)
	}
	return facts
}
