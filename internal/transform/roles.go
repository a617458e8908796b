package transform

import (
	"cmp"
	"context"
	"io"
	"iter"
	"slices"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// The roles of a source, before those of the source itself. Each says what its contract in db/driver says, of tables in their
// new form.

type dialect struct {
	driver.Dialect
	v *view
}

func (d dialect) Orphans(t *schema.Table, k *schema.ForeignKey) string {
	f, is := d.v.forms[t.Name], d.v.source(t)
	for _, own := range is.Foreign {
		if f != nil && own.Name == k.Name {
			k = own
		}
	}
	if parent := d.v.forms[k.Parent]; f == nil && parent != nil {
		one := *k
		one.ParentCols = parent.sourceNames(k.ParentCols)
		k = &one
	}
	return d.Dialect.Orphans(is, k)
}

// sourceNames are the names that columns of the view which stay as they are have at the source.
func (f *form) sourceNames(columns []string) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		if names[i] = c; f.column(c).from != nil {
			names[i] = f.column(c).from.Name
		}
	}
	return names
}

type inspector struct{ v *view }

func (i inspector) Inspect(ctx context.Context, schemas []string) (*schema.Schema, error) {
	if i.v.broken != nil {
		return nil, i.v.broken
	}
	whole, err := i.v.Inspector.Inspect(ctx, schemas)
	if err != nil {
		return nil, err
	}
	seen := *whole
	seen.Tables = nil
	for _, t := range whole.Tables {
		all, err := i.v.now(t)
		if err != nil {
			return nil, err
		}
		seen.Tables = append(seen.Tables, all...)
	}
	return &seen, nil
}

// now returns what becomes of a table of the catalog as it is now, and then the tables that its rows feed, by name.
func (v *view) now(t *schema.Table) ([]*schema.Table, error) {
	all := []*schema.Table{t}
	if f := v.forms[t.Name]; f != nil {
		now, err := compile(f.rule, t)
		if err != nil {
			return nil, err
		}
		all[0] = now.view
	}
	all[0] = parents(v.forms, all[0])
	for _, f := range v.forms {
		if !f.fed() || f.source.Name != t.Name {
			continue
		}
		now, err := compileFed(f.rule, t, f.view.Name)
		if err != nil {
			return nil, err
		}
		all = append(all, now.view)
	}
	slices.SortFunc(all[1:], func(a, b *schema.Table) int { return cmp.Compare(a.Name.Name, b.Name.Name) })
	return all, nil
}

// Settings are the source's, and what tables lose in their new form beside what the rules say.
func (i inspector) Settings(ctx context.Context) ([]driver.Notice, error) {
	notices, err := i.v.Inspector.Settings(ctx)
	for _, f := range i.v.forms {
		for _, what := range f.notes {
			notices = append(notices, driver.Notice{
				Rule: "transform", Level: driver.Note, Table: f.source.Name, Message: what + " (" + f.rule.Place + ")",
				Do: "Make what the new release needs of it in one of its own scripts.",
			})
		}
	}
	return notices, err
}

type splitter struct{ v *view }

func (s splitter) Split(ctx context.Context, t *schema.Table, sh schema.Shape, n int64) iter.Seq2[row.Range, error] {
	is, shape, err := s.v.shaped(t, sh)
	if err != nil {
		return func(yield func(row.Range, error) bool) { yield(row.Range{}, err) }
	}
	return s.v.Splitter.Split(ctx, is, shape, n)
}

// pipe passes rows of tables without a rule.
type pipe struct{ v *view }

func (p pipe) Format(t *schema.Table, s schema.Shape) string {
	if p.v.forms[t.Name] != nil {
		return ""
	}
	return p.v.Pipe.Format(t, s)
}

func (p pipe) Out(ctx context.Context, q driver.Query, w io.Writer) (int64, error) {
	return p.v.Pipe.Out(ctx, q, w)
}

func (p pipe) In(ctx context.Context, in driver.Intake, r io.Reader, confirm func(int64) error) (int64, error) {
	return p.v.Pipe.In(ctx, in, r, confirm)
}

type capturer struct{ v *view }

func (c capturer) Gaps(ctx context.Context, t *schema.Table, s schema.Shape) ([]driver.Notice, error) {
	is, shape, err := c.v.shaped(t, s)
	if err != nil {
		return nil, err
	}
	notices, err := c.v.Capturer.Gaps(ctx, is, shape)
	for i := range notices {
		notices[i].Table = t.Name
	}
	return notices, err
}

func (c capturer) Install(ctx context.Context, t *schema.Table, s schema.Shape, w driver.Wait) error {
	is, shape, err := c.v.shaped(t, s)
	if err != nil {
		return err
	}
	return c.v.Capturer.Install(ctx, is, shape, w)
}

func (c capturer) Settle(ctx context.Context, tables []*schema.Table, w driver.Wait) error {
	return c.v.Capturer.Settle(ctx, c.v.once(tables), w)
}

func (c capturer) Remove(ctx context.Context, t *schema.Table, w driver.Wait) error {
	return c.v.Capturer.Remove(ctx, c.v.source(t), w)
}

func (c capturer) Finish(ctx context.Context) error { return c.v.Capturer.Finish(ctx) }

type watcher struct {
	driver.Watcher
	v *view
}

func (w watcher) Fingerprint(ctx context.Context, t *schema.Table) (string, error) {
	return w.Watcher.Fingerprint(ctx, w.v.source(t))
}

type gate struct {
	driver.Gate
	v *view
}

func (g gate) Shut(ctx context.Context, tables []*schema.Table, w driver.Wait) error {
	return g.Gate.Shut(ctx, g.v.once(tables), w)
}

func (g gate) Prove(ctx context.Context, tables []*schema.Table, w driver.Wait) error {
	return g.Gate.Prove(ctx, g.v.once(tables), w)
}

func (g gate) Reopen(ctx context.Context, tables []*schema.Table) error {
	return g.Gate.Reopen(ctx, g.v.sources(tables))
}

type sequencer struct{ v *view }

// Next asks for the generators of the tables as they are, and leaves out those of columns that do not stay.
func (s sequencer) Next(ctx context.Context, part *schema.Schema) ([]driver.Generator, error) {
	is := *part
	own := slices.DeleteFunc(slices.Clone(part.Tables), func(t *schema.Table) bool { return s.v.forms[t.Name].fed() })
	is.Tables = s.v.sources(own)
	found, err := s.v.Sequencer.Next(ctx, &is)
	if err != nil {
		return nil, err
	}
	var all []driver.Generator
	for _, g := range found {
		if f := s.v.forms[g.Table]; f != nil {
			name, stays := f.nameOf(g.Column)
			if !stays {
				continue
			}
			g.Column = name
			if g.Next, err = f.after(g); err != nil {
				return nil, err
			}
		}
		all = append(all, g)
	}
	return all, nil
}

func (s sequencer) Set(ctx context.Context, g driver.Generator) error {
	return s.v.Sequencer.Set(ctx, g)
}

type many struct {
	driver.Many
	v *view
}

func (m many) Fingerprints(ctx context.Context, tables []*schema.Table) ([]string, error) {
	return m.Many.Fingerprints(ctx, m.v.sources(tables))
}

type rights struct{ v *view }

func (r rights) Needed(ctx context.Context, s driver.Scope) ([]driver.Right, error) {
	s.Tables, s.Live = r.v.once(s.Tables), r.v.sources(s.Live) // each of the live has a record of its own
	return r.v.Rights.Needed(ctx, s)
}

func (r rights) Surplus(ctx context.Context) ([]driver.Notice, error) { return r.v.Rights.Surplus(ctx) }
