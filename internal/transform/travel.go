package transform

import (
	"context"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// The two roles through which rows leave a source: its reader and its recorder.

type reader struct{ v *view }

// Read turns what the source reads. Keys of rows that are made of others are read as those of the others.
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
	c := &cursor{rows: turning, in: row.NewBatch(turning.read.Width())}
	if q.Keys != nil && turning.form.split != nil {
		c.asked, c.some = map[string]struct{}{}, row.NewBatch(q.Shape.Width())
		for i := range q.Keys.Len() {
			c.asked[string(q.Keys.Row(i))] = struct{}{}
		}
		if q.Keys, _, err = turning.parents(q.Keys, q.Keys.Len()); err != nil {
			return nil, err
		}
	}
	q.Table, q.Shape = r.v.source(q.Table), turning.read
	if c.Cursor, err = r.v.Reader.Read(ctx, q); err != nil {
		return nil, err
	}
	return c, nil
}

// cursor turns what another one reads.
type cursor struct {
	driver.Cursor
	rows  *rows
	in    *row.Batch
	next  int                 // the row of it that is turned next
	end   error               // that came with it
	asked map[string]struct{} // keys of the view that were asked for; nil for all
	some  *row.Batch          // those that one row makes, where not all are wanted
}

// A batch holds about so much (driver.Cursor), also where each row of the source makes many.
const (
	fullBytes = 1 << 20
	fullRows  = 5_000
)

// Fill goes on where the rule leaves nothing of a batch, so that an empty one is the end.
func (c *cursor) Fill(ctx context.Context, b *row.Batch) error {
	b.Reset()
	for {
		for ; c.next < c.in.Len(); c.next++ {
			if b.Len() >= fullRows || b.Size() >= fullBytes {
				return c.rows.tell(ctx)
			}
			if err := c.turn(b); err != nil {
				return err
			}
		}
		if err := c.rows.tell(ctx); err != nil {
			return err
		}
		if c.end != nil || b.Len() > 0 {
			return c.end
		}
		c.end = c.Cursor.Fill(ctx, c.in)
		c.next = 0
	}
}

// turn appends what the next row makes, as far as it was asked for.
func (c *cursor) turn(b *row.Batch) error {
	if c.asked == nil {
		return c.rows.one(c.in, c.next, b)
	}
	c.some.Reset()
	if err := c.rows.one(c.in, c.next, c.some); err != nil {
		return err
	}
	var key []byte
	for i := range c.some.Len() {
		key = c.some.AppendKey(key[:0], i, c.rows.shape.Key)
		if _, wanted := c.asked[string(key)]; !wanted {
			continue
		}
		if err := b.AppendRow(c.some.Row(i)); err != nil {
			return err
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
	if turning.form.split != nil {
		return r.takeSeveral(ctx, want, turning, keys, images)
	}
	are := row.NewBatch(turning.read.Width())
	receipt, err := r.v.Recorder.Take(ctx, want, keys, are)
	if err != nil {
		return nil, err
	}
	if err = turning.turn(are, images); err == nil {
		err = turning.tellTaken(ctx, keys)
	}
	if err != nil {
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
	if err = m.take(ctx, are, keys, images); err == nil {
		err = m.rows.tellTaken(ctx, keys)
	}
	if err != nil {
		_ = receipt.Close() // nothing is forgotten
		return nil, err
	}
	return receipt, nil
}

// takenKeys is about how many keys of rows that are made of others one Take returns at most.
const takenKeys = 20_000

// takeSeveral takes keys of the source and returns, for each, every key that a row made of its row could have, with the rows
// that there are: so the target loses what a row no longer makes. Decision 10 says why.
func (r recorder) takeSeveral(ctx context.Context, want driver.Want, turning *rows, keys, images *row.Batch) (driver.Receipt, error) {
	bound, asked, cut := max(takenKeys/turning.form.split.most, 1), want.Also, false
	var err error
	if asked != nil {
		if want.Also, cut, err = turning.parents(asked, bound); err != nil {
			return nil, err
		}
	}
	if before, ours := want.Beyond.(*several); ours {
		want.Beyond = before.Receipt
	}
	want.Most = min(want.Most, bound)
	parents, are := row.NewBatch(len(turning.read.Key)), row.NewBatch(turning.read.Width())
	receipt, err := r.v.Recorder.Take(ctx, want, parents, are)
	if err != nil {
		return nil, err
	}
	if err = turning.turn(are, images); err == nil {
		err = turning.children(parents, asked, keys)
	}
	if err == nil {
		err = turning.tellTaken(ctx, parents)
	}
	if err != nil {
		_ = receipt.Close() // nothing is forgotten
		return nil, err
	}
	return &several{receipt, cut || receipt.Cut() || receipt.Entries() >= bound}, nil
}

// several is a receipt for rows that become several: perhaps fewer were taken than asked for.
type several struct {
	driver.Receipt
	cut bool
}

// Cut reports that more may be found at once.
func (s *several) Cut() bool { return s.cut }
