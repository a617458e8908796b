// Package load copies tables in ranges of their key. A range is read in one snapshot and written in one transaction of the
// target, whose first statements are the fence and the range's ledger line: so a range is loaded exactly once, whatever
// dies when, and the ledger is the only place that says what is done. Nothing here decides which tables or in which order.
package load

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/failpoint"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// End is one side of a load: a table of an open database, and the columns of it that travel.
type End struct {
	Database *driver.Database
	Table    *schema.Table
	Shape    schema.Shape
}

// Task is one range on its way from one end to the other.
type Task struct {
	From, To End
	Range    row.Range
	Epoch    int64
	Sole     bool // the range is the whole table and nobody else writes to it
	Pace     Pace
}

// Result is what a range brought.
type Result struct {
	Rows    int64
	Bytes   int64 // as cells or, passed through, on the wire
	Elapsed time.Duration
	Already bool // the ledger had the range before: nothing was written
}

// Range loads one range and returns when it is in the ledger. An error that Classify knows as Transient, Lost or Unknown has
// been answered by the ledger before it is returned: the range is not in, and the same call may be made again.
// Again: finds the ledger line and does nothing.
func Range(ctx context.Context, t Task) (Result, error) {
	began := time.Now()
	result, err := t.carry(ctx)
	result.Elapsed = time.Since(began)
	if err == nil {
		return result, nil
	}
	if ctx.Err() != nil {
		return result, context.Cause(ctx)
	}
	switch t.To.Database.Dialect.Classify(err) {
	case driver.Exists, driver.Unknown, driver.Lost:
		rows, in, asked := t.inLedger(ctx)
		switch {
		case asked != nil: // nothing is known: not even what the error says of the ledger
			err = fmt.Errorf("ask the ledger after %q: %w", err.Error(), asked)
		case in:
			return Result{Rows: rows, Elapsed: result.Elapsed, Already: true}, nil
		}
	}
	return Result{}, fmt.Errorf("load %s range %d: %w", t.From.Table.Name, t.Range.Number, err)
}

func (t Task) inLedger(ctx context.Context) (rows int64, in bool, err error) {
	ranges, err := t.To.Database.Ledger.Ranges(ctx, t.To.Table)
	if err != nil {
		return 0, false, err
	}
	rows, in = ranges[t.Range.Number]
	return rows, in, nil
}

func (t Task) intake() driver.Intake {
	return driver.Intake{Table: t.To.Table, Shape: t.To.Shape, Range: t.Range, Epoch: t.Epoch, Sole: t.Sole}
}

func (t Task) query() driver.Query {
	order := driver.AnyOrder // the source may read as it likes
	if t.To.Database.Info.Limits.Ordered {
		order = driver.KeyOrder
	}
	return driver.Query{Table: t.From.Table, Shape: t.From.Shape, Range: t.Range, Order: order}
}

func (t Task) carry(ctx context.Context) (Result, error) {
	if Passes(t.From, t.To) {
		return t.pass(ctx)
	}
	return t.copy(ctx)
}

// Passes reports whether rows go from one end to the other in the products' own wire format, unparsed.
func Passes(from, to End) bool {
	out, in := from.Database.Pipe, to.Database.Pipe
	if out == nil || in == nil {
		return false
	}
	format := out.Format(from.Table, from.Shape)
	return format != "" && format == in.Format(to.Table, to.Shape)
}

// pass joins the two pipes: the source's rows stream into the target while this process only moves bytes.
func (t Task) pass(ctx context.Context) (Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r, w := io.Pipe()
	counted := &meter{w: w}
	var sending sync.WaitGroup
	var sent int64
	var broken error
	sending.Go(func() {
		sent, broken = t.From.Database.Pipe.Out(ctx, t.query(), counted)
		_ = w.CloseWithError(broken) // nil ends the stream
	})
	rows, err := t.To.Database.Pipe.In(ctx, t.intake(), r, func(rows int64) error {
		sending.Wait() // the stream has ended: what is left is the source's own word on it
		if broken == nil && sent != rows {
			return fmt.Errorf("%d rows were sent and %d arrived", sent, rows)
		}
		failpoint.Hit("load.commit.before")
		return broken
	})
	failpoint.Hit("load.commit.after")
	cancel(err)
	_ = r.CloseWithError(io.ErrClosedPipe)
	sending.Wait()
	if err == nil {
		err = broken
	}
	return Result{Rows: rows, Bytes: counted.bytes}, err
}

// meter counts the bytes that pass.
type meter struct {
	w     io.Writer
	bytes int64
}

// Write passes p on.
func (m *meter) Write(p []byte) (int, error) {
	n, err := m.w.Write(p)
	m.bytes += int64(n)
	return n, err
}
