package replay_test

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/internal/replay"
	"github.com/whimbrel/whimbrel/row"
)

// blind is a record whose session does not see the rows of the table, for so many looks.
type blind struct {
	driver.Recorder
	looks int
}

func (b *blind) Take(ctx context.Context, want driver.Want, keys, images *row.Batch) (driver.Receipt, error) {
	r, err := b.Recorder.Take(ctx, want, keys, images)
	if b.looks > 0 && images.Len() > 0 {
		b.looks--
		images.Reset()
	}
	return r, err
}

// looking counts how often rows are looked for a second time.
type looking struct {
	driver.Reader
	looks int
}

func (r *looking) Read(ctx context.Context, q driver.Query) (driver.Cursor, error) {
	if q.Keys != nil {
		r.looks++
	}
	return r.Reader.Read(ctx, q)
}

// whole hands rows out in pages as large as those of a server.
type whole struct{ driver.Reader }

func (w whole) Read(ctx context.Context, q driver.Query) (driver.Cursor, error) {
	c, err := w.Reader.Read(ctx, q)
	return &wholeCursor{c, row.NewBatch(q.Shape.Width())}, err
}

type wholeCursor struct {
	driver.Cursor
	some *row.Batch
}

func (c *wholeCursor) Fill(ctx context.Context, b *row.Batch) error {
	for b.Reset(); ; {
		err := c.Cursor.Fill(ctx, c.some)
		for i := range c.some.Len() {
			must(b.AppendRow(c.some.Row(i)))
		}
		if err != nil {
			return err
		}
	}
}

// doubted is a table of so many rows that both sides have.
func doubted(t *testing.T, rows int) (*history, *process, *replay.Table, *looking) {
	t.Helper()
	h, p := quiet(t)
	h.insert(0, rows)
	if _, err := replay.NewLane(p.from, p.to, p.epoch).Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	reader := &looking{Reader: p.from.Database.Reader}
	p.from.Database.Reader = reader
	p.to.Database.Reader = whole{p.to.Database.Reader}
	return h, p, replay.NewTable(replay.NewLane(p.from, p.to, p.epoch), make(chan struct{}, 1)), reader
}

// change has the application do something to the first rows, in one transaction.
func change(h *history, rows int, do func(x *memory.Tx, id []byte) error) {
	x := h.source.Begin()
	for i := range rows {
		must(do(x, []byte(strconv.Itoa(i))))
	}
	must(x.Commit())
}

func (h *history) renew(x *memory.Tx, id []byte) error {
	return x.Update(h.table.Name, row.MakeKey(id), id, nil, []byte("new"))
}

// Rows that are there and that the session of the record does not see are not removed at the target, be it that they changed, that every
// key is read again, or that the table was emptied before they were there: the table stops with words that say so (HAZARDS 54).
func TestHiddenRowsAreNotRemoved(t *testing.T) {
	const rows = 200
	for name, provoke := range map[string]func(h *history, table *replay.Table){
		"changed":    func(h *history, _ *replay.Table) { change(h, rows, h.renew) },
		"read again": func(_ *history, table *replay.Table) { table.Reread() },
		"emptied": func(h *history, _ *replay.Table) {
			x := h.source.Begin()
			must(x.Truncate(h.table.Name))
			must(x.Commit())
			h.insert(0, rows)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, p, table, _ := doubted(t, rows)
			provoke(h, table)
			p.from.Database.Recorder = &blind{Recorder: p.from.Database.Recorder, looks: 1 << 30}
			if err := table.Run(t.Context()); !errors.Is(err, replay.ErrUnseen) {
				t.Errorf("the replay ended with %v", err)
			}
			if n := h.target.Rows(h.table.Name).Len(); n != rows {
				t.Errorf("%d rows of %d are at the target", n, rows)
			}
		})
	}
}

// Very many rows that an application removes and puts back at once may be missed by one look; the batch is taken again then, and
// those that are gone for good are removed, after one more look. A few are not looked for.
func TestManyMissingRowsAreLookedForTwice(t *testing.T) {
	const rows = 200
	for name, c := range map[string]struct {
		removed, blind, looks int
	}{
		"put back":      {0, 1, 1},
		"removed":       {150, 0, 1},
		"fewer":         {63, 0, 0},
		"not even half": {100, 0, 0}, // of 200 that changed
	} {
		t.Run(name, func(t *testing.T) {
			h, p, table, reader := doubted(t, rows)
			change(h, rows, h.renew)
			change(h, c.removed, func(x *memory.Tx, id []byte) error { return x.Delete(h.table.Name, row.MakeKey(id)) })
			p.from.Database.Recorder = &blind{Recorder: p.from.Database.Recorder, looks: c.blind}
			over := errors.New("over")
			ctx, cancel := context.WithCancelCause(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- table.Run(ctx) }()
			if err := table.CaughtUp(t.Context()); err != nil {
				t.Error(err)
			}
			cancel(over)
			if err := <-ended; !errors.Is(err, over) {
				t.Errorf("the replay ended with %v", err)
			}
			if n := h.target.Rows(h.table.Name).Len(); n != rows-c.removed || reader.looks != c.looks {
				t.Errorf("%d rows are at the target and not %d, after %d further looks and not %d", n, rows-c.removed, reader.looks, c.looks)
			}
			if damage := h.damage(t.Context()); damage != "" {
				t.Error(damage)
			}
		})
	}
}
