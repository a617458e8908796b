package memory

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strconv"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

type loader struct{ *role }

func (r loader) Load(ctx context.Context, in driver.Intake) (driver.Load, error) {
	l, err := r.begin(ctx, in)
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (r *role) begin(ctx context.Context, in driver.Intake) (*load, error) {
	var l *load
	err := r.do(ctx, call{op: "Loader.Load", about: line(in.Table, in.Range.Number)}, func() error {
		t, err := r.table(in.Table.Name)
		if err != nil {
			return err
		}
		places, err := t.placesOf(in.Shape.Names())
		if err != nil {
			return err
		}
		b, err := r.fence(in.Epoch)
		if err != nil {
			return err
		}
		e := r.open(r, "load")
		e.epoch = in.Epoch
		if err := r.reserve(e, b, in); err != nil {
			e.end(err)
			return err
		}
		l = &load{e: e, about: line(in.Table, in.Range.Number), table: t, places: places, line: b.lines.named[line(in.Table, in.Range.Number)]}
		return nil
	})
	if err != nil && l != nil {
		_ = l.Close()
	}
	return l, err
}

// reserve writes the range's ledger line, which must be new.
func (r *role) reserve(e *session, b *book, in driver.Intake) error {
	key := line(in.Table, in.Range.Number)
	if it := b.lines.named[key]; it != nil && it.now != nil && r.Flaw != NoLine {
		return failf(driver.Exists, "range %d of %s is loaded", in.Range.Number, in.Table.Name)
	}
	if r.Flaw == LineFirst {
		return r.briefly("line", func(first *session) error {
			_, err := first.add(b.lines, key, "0")
			return err
		})
	}
	_, err := e.add(b.lines, key, "0")
	return err
}

type load struct {
	e      *session
	about  string
	table  *table
	places []int
	line   *item
	rows   int64
}

func (l *load) Write(ctx context.Context, b *row.Batch) error {
	err := l.e.do(ctx, call{op: "Load.Write", about: l.about, session: l.e}, func() error {
		for i := range b.Len() {
			if err := l.put(b, i); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		l.fail(err)
	}
	return err
}

func (l *load) put(b *row.Batch, i int) error {
	run := l.table.spread(b, i, l.places)
	if l.e.Flaw == TrimmedText {
		run = l.table.trim(run)
	}
	if l.e.Flaw == LoadReplaces {
		if err := l.table.makeRoom(l.e, run); err != nil {
			return err
		}
	}
	err := l.table.write(l.e, nil, run)
	if l.e.Flaw == IgnoredDuplicates && (Dialect{}).Classify(err) == driver.Conflict {
		return nil
	}
	l.rows++
	return err
}

// makeRoom removes what has a row's unique values, which is what LoadReplaces does.
func (t *table) makeRoom(e *session, run string) error {
	inTheWay, err := t.clashes(e, nil, run)
	if err != nil {
		return err
	}
	for _, it := range inTheWay {
		if err := e.set(it, nil); err != nil {
			return err
		}
	}
	return nil
}

// spread returns the whole row for the cells of a shape; columns that do not travel are NULL.
func (t *table) spread(b *row.Batch, i int, places []int) string {
	cells := make([][]byte, len(t.def.Columns))
	for j, c := range places {
		cells[c] = b.Cell(i, j)
	}
	return string(row.MakeKey(cells...))
}

// trim is what TrimmedText does: it loses the blanks at the end of texts.
func (t *table) trim(run string) string {
	cells, _ := row.Key(run).Cells()
	for i, c := range t.def.Columns {
		for c.Type.Kind == row.Text && len(cells[i]) > 0 && cells[i][len(cells[i])-1] == ' ' {
			cells[i] = cells[i][:len(cells[i])-1]
		}
	}
	return string(row.MakeKey(cells...))
}

func (l *load) Commit(ctx context.Context) (int64, error) {
	err := l.e.do(ctx, call{op: "Load.Commit", about: l.about, session: l.e, commits: true}, func() error {
		rows := strconv.FormatInt(l.rows, 10)
		if err := l.e.set(l.line, &rows); err != nil {
			return err
		}
		l.e.commit()
		return nil
	})
	if err != nil {
		l.fail(err)
		return 0, err
	}
	return l.rows, nil
}

func (l *load) fail(err error) {
	l.e.mu.Lock()
	defer l.e.mu.Unlock()
	l.e.leave(err)
}

func (l *load) Close() error {
	l.e.mu.Lock()
	defer l.e.mu.Unlock()
	if l.e.Flaw == CommitOnClose && l.e.over == nil {
		l.e.commit()
	}
	l.e.leave(failf(driver.Unclassified, "%s was closed", l.e.what))
	return nil
}

// pipe passes rows as their runs, each after its length of four bytes.
type pipe struct{ *role }

func (r pipe) Format(t *schema.Table, s schema.Shape) string {
	return "memory 1 " + strconv.Itoa(s.Width())
}

func (r pipe) Out(ctx context.Context, q driver.Query, w io.Writer) (int64, error) {
	c, err := reader(r).Read(ctx, q)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	var rows int64
	b := row.NewBatch(q.Shape.Width())
	for {
		err := c.Fill(ctx, b)
		if err != nil && !errors.Is(err, io.EOF) {
			return rows, err
		}
		for i := range b.Len() {
			run := b.Row(i)
			if _, err := w.Write(binary.BigEndian.AppendUint32(nil, uint32(len(run)))); err != nil {
				return rows, err
			}
			if _, err := w.Write(run); err != nil {
				return rows, err
			}
			rows++
		}
		if errors.Is(err, io.EOF) {
			return rows, c.Durable(ctx)
		}
	}
}

func (r pipe) In(ctx context.Context, in driver.Intake, from io.Reader, confirm func(rows int64) error) (int64, error) {
	l, err := r.begin(ctx, in)
	if err != nil {
		return 0, err
	}
	defer l.Close()
	b := row.NewBatch(in.Shape.Width())
	for {
		var size [4]byte
		if _, err := io.ReadFull(from, size[:]); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return 0, err
		}
		run := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(from, run); err != nil {
			return 0, err
		}
		b.Reset()
		if err := b.AppendRow(run); err != nil {
			return 0, err
		}
		if err := l.Write(ctx, b); err != nil {
			return 0, err
		}
	}
	if err := confirm(l.rows); err != nil {
		return 0, err
	}
	return l.Commit(ctx)
}
