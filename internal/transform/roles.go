package transform

import (
	"context"
	"io"
	"iter"

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
		f := i.v.forms[t.Name]
		if f == nil {
			seen.Tables = append(seen.Tables, parents(i.v.forms, t))
			continue
		}
		now, err := compile(f.rule, t) // as the catalog is now
		if err != nil {
			return nil, err
		}
		seen.Tables = append(seen.Tables, parents(i.v.forms, now.view))
	}
	return &seen, nil
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

type reader struct{ v *view }

func (r reader) Read(ctx context.Context, q driver.Query) (driver.Cursor, error) {
	turning, err := r.v.rows(q.Table, q.Shape)
	if err != nil {
		return nil, err
	}
	if turning == nil {
		return r.v.Reader.Read(ctx, q)
	}
	if turning.form.merge != nil {
		m, err := r.v.merging(turning.form, q.Table, q.Shape)
		if err != nil {
			return nil, err
		}
		return m.read(ctx, q)
	}
	q.Table, q.Shape = r.v.source(q.Table), turning.read
	c, err := r.v.Reader.Read(ctx, q)
	if err != nil {
		return nil, err
	}
	return &cursor{c, turning, row.NewBatch(turning.read.Width())}, nil
}

// cursor turns what another one reads.
type cursor struct {
	driver.Cursor
	rows *rows
	in   *row.Batch
}

// Fill goes on where the rule leaves nothing of a batch, so that an empty one is the end.
func (c *cursor) Fill(ctx context.Context, b *row.Batch) error {
	b.Reset()
	for b.Len() == 0 {
		end := c.Cursor.Fill(ctx, c.in)
		if err := c.rows.turn(c.in, b); err != nil {
			return err
		}
		if end != nil {
			return end
		}
	}
	return nil
}

type recorder struct{ v *view }

func (r recorder) Backlog(ctx context.Context, t *schema.Table) (driver.Backlog, error) {
	return r.v.Recorder.Backlog(ctx, r.v.source(t))
}

func (r recorder) Numbers(ctx context.Context, t *schema.Table, lane int) (driver.Numbers, error) {
	return r.v.Recorder.Numbers(ctx, r.v.source(t), lane)
}

// Take reads rows as they are and turns them. A row that the rule leaves out is as one that is gone.
func (r recorder) Take(ctx context.Context, want driver.Want, keys, images *row.Batch) (driver.Receipt, error) {
	turning, err := r.v.rows(want.Table, want.Shape)
	if err != nil {
		return nil, err
	}
	if turning == nil {
		return r.v.Recorder.Take(ctx, want, keys, images)
	}
	if turning.form.merge != nil {
		return r.merge(ctx, turning.form, want, keys, images)
	}
	want.Table, want.Shape = r.v.source(want.Table), turning.read
	are := row.NewBatch(turning.read.Width())
	receipt, err := r.v.Recorder.Take(ctx, want, keys, are)
	if err != nil {
		return nil, err
	}
	if err := turning.turn(are, images); err != nil {
		_ = receipt.Close() // nothing is forgotten
		return nil, err
	}
	return receipt, nil
}

// merge is Take of a table that is the release's too.
func (r recorder) merge(ctx context.Context, f *form, want driver.Want, keys, images *row.Batch) (driver.Receipt, error) {
	m, err := r.v.merging(f, want.Table, want.Shape)
	if err != nil {
		return nil, err
	}
	want.Table, want.Shape = m.table, m.rows.read
	are := row.NewBatch(m.rows.read.Width())
	receipt, err := r.v.Recorder.Take(ctx, want, keys, are)
	if err != nil {
		return nil, err
	}
	if err := m.take(ctx, are, keys, images); err != nil {
		_ = receipt.Close() // nothing is forgotten
		return nil, err
	}
	return receipt, nil
}

type capturer struct{ v *view }

func (c capturer) Gaps(ctx context.Context, t *schema.Table, s schema.Shape) ([]driver.Notice, error) {
	is, shape, err := c.v.shaped(t, s)
	if err != nil {
		return nil, err
	}
	return c.v.Capturer.Gaps(ctx, is, shape)
}

func (c capturer) Install(ctx context.Context, t *schema.Table, s schema.Shape, w driver.Wait) error {
	is, shape, err := c.v.shaped(t, s)
	if err != nil {
		return err
	}
	return c.v.Capturer.Install(ctx, is, shape, w)
}

func (c capturer) Settle(ctx context.Context, tables []*schema.Table, w driver.Wait) error {
	return c.v.Capturer.Settle(ctx, c.v.sources(tables), w)
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
	return g.Gate.Shut(ctx, g.v.sources(tables), w)
}

func (g gate) Prove(ctx context.Context, tables []*schema.Table, w driver.Wait) error {
	return g.Gate.Prove(ctx, g.v.sources(tables), w)
}

func (g gate) Reopen(ctx context.Context, tables []*schema.Table) error {
	return g.Gate.Reopen(ctx, g.v.sources(tables))
}

type sequencer struct{ v *view }

// Next asks for the generators of the tables as they are, and leaves out those of columns that do not stay.
func (s sequencer) Next(ctx context.Context, part *schema.Schema) ([]driver.Generator, error) {
	is := *part
	is.Tables = s.v.sources(part.Tables)
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
	s.Tables, s.Live = r.v.sources(s.Tables), r.v.sources(s.Live)
	return r.v.Rights.Needed(ctx, s)
}

func (r rights) Surplus(ctx context.Context) ([]driver.Notice, error) { return r.v.Rights.Surplus(ctx) }
