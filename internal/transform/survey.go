package transform

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

type surveyor struct{ v *view }

// Survey asks the source about the columns that stay as they are, and tries out on every row what makes the others.
func (s surveyor) Survey(ctx context.Context, t *schema.Table, q driver.Questions) ([]driver.Fact, error) {
	f := s.v.forms[t.Name]
	if f == nil {
		return s.v.Surveyor.Survey(ctx, t, q)
	}
	asked, names := driver.Questions{}, map[string][]string{}
	var asking []string
	for _, m := range f.columns {
		if m.from == nil || m.convert != nil {
			if q.Asks(m.name, driver.Unmade) {
				asking = append(asking, m.name)
			}
			continue
		}
		names[m.from.Name] = append(names[m.from.Name], m.name)
		for _, one := range q[m.name] {
			asked.Ask(m.from.Name, one)
		}
	}
	found, err := s.v.Surveyor.Survey(ctx, s.v.source(t), asked)
	var facts []driver.Fact
	for _, fact := range found {
		for _, name := range names[fact.Column] {
			fact.Column = name
			facts = append(facts, fact)
		}
	}
	if err != nil || len(asking) == 0 {
		return facts, err
	}
	found, err = s.try(ctx, f, t, asking)
	return append(facts, found...), err
}

// try makes columns of every row and counts the rows of which it can not.
func (s surveyor) try(ctx context.Context, f *form, t *schema.Table, columns []string) ([]driver.Fact, error) {
	sh := schema.Shape{}
	for _, c := range f.view.Columns {
		if slices.Contains(columns, c.Name) {
			sh.Columns = append(sh.Columns, naturally(c))
		}
	}
	if live := f.view.LiveKey(); live != nil {
		for _, name := range live.Names() {
			sh.Key = append(sh.Key, len(sh.Columns))
			sh.Columns = append(sh.Columns, naturally(f.view.Column(name)))
		}
	}
	turning, err := s.v.reading(f, sh)
	if err != nil {
		return nil, err
	}
	cursor, err := s.v.Reader.Read(ctx, driver.Query{Table: s.v.source(t), Shape: turning.read})
	if err != nil {
		return nil, err
	}
	defer cursor.Close()
	counts := tried{}
	if s.v.losses != nil && len(turning.lossy()) > 0 {
		if err := s.v.losses.Begin(ctx, f.view.Name); err != nil {
			return nil, err
		}
	}
	in, out := row.NewBatch(turning.read.Width()), row.NewBatch(sh.Width())
	for {
		end := cursor.Fill(ctx, in)
		for i := range in.Len() {
			counts.note(turning.one(in, i, out))
			for _, value := range turning.lost[turning.before:] {
				counts.count(driver.Fact{Column: value.Column, What: driver.Replaced, Sample: value.Key})
			}
			out.Reset()
		}
		if err := turning.tell(ctx); err != nil {
			return nil, err
		}
		switch {
		case errors.Is(end, io.EOF):
			return counts.facts(columns), nil
		case counts.note(end): // a value of the source has no cell: what is behind it was not looked at
			return counts.facts(columns), nil
		case end != nil:
			return nil, end
		}
	}
}

// tried are what was found by trying, a column and kind of fact each.
type tried []*driver.Fact

// note counts an error about a row, and reports whether it is one.
func (f *tried) note(err error) bool {
	var cell *driver.CellError
	if !errors.As(err, &cell) {
		return false
	}
	f.count(driver.Fact{Column: cell.Column, What: driver.Unmade, Sample: cell.Place()})
	return true
}

// samples is how many keys a fact names.
const samples = 5

// count adds one row.
func (f *tried) count(is driver.Fact) {
	at := slices.IndexFunc(*f, func(had *driver.Fact) bool { return had.Column == is.Column && had.What == is.What })
	if at < 0 {
		at = len(*f)
		*f = append(*f, &driver.Fact{Column: is.Column, What: is.What})
	}
	had := (*f)[at]
	if had.Count++; had.Count == 1 {
		had.Sample = is.Sample
	} else if had.Count <= samples && is.What == driver.Replaced {
		had.Sample += "; " + is.Sample
	}
}

func (f tried) facts(columns []string) []driver.Fact {
	all := make([]driver.Fact, len(f))
	for i, fact := range f {
		if all[i] = *fact; !slices.Contains(columns, fact.Column) { // a column of the source, or the filter
			all[i].Column = columns[0]
		}
	}
	slices.SortStableFunc(all, func(a, b driver.Fact) int { return slices.Index(columns, a.Column) - slices.Index(columns, b.Column) })
	return all
}
