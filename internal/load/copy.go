package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/failpoint"
	"github.com/whimbrel/whimbrel/row"
)

// copy reads cells at one end and writes them at the other: two batches rotate between a reading and a writing goroutine,
// so that both servers work at the same time and memory stays at two batches.
func (t Task) copy(ctx context.Context) (Result, error) {
	load, err := t.To.Database.Loader.Load(ctx, t.intake())
	if err != nil {
		return Result{}, err
	}
	defer load.Close()
	cursor, err := t.From.Database.Reader.Read(ctx, t.query())
	if err != nil {
		return Result{}, err
	}
	defer cursor.Close()

	var result Result
	err = t.Pace.Read(ctx, cursor, t.From.Shape.Width(), func(b *row.Batch) error {
		result.Rows += int64(b.Len())
		result.Bytes += int64(b.Size())
		return load.Write(ctx, b)
	})
	if err != nil {
		return Result{}, err
	}
	if err := cursor.Durable(ctx); err != nil {
		return Result{}, fmt.Errorf("wait for the source's log to be on disk: %w", err)
	}
	failpoint.Hit("load.commit.before")
	stored, err := load.Commit(ctx)
	failpoint.Hit("load.commit.after")
	if err != nil {
		return Result{}, err
	}
	if stored != result.Rows {
		return Result{}, fmt.Errorf("%d rows were sent and the target counts %d", result.Rows, stored)
	}
	return result, nil
}

// Pace says how the rows of a table are read: Brisk for all but tables with values of many megabytes.
type Pace int

// Brisk reads the next batch while the last one is used. Careful reads one batch at a time, so that a value is in memory
// once.
const (
	Brisk Pace = iota
	Careful
)

// Read reads a cursor to its end and hands every batch to use, which must not keep it. The first error ends both.
func (p Pace) Read(ctx context.Context, cursor driver.Cursor, width int, use func(*row.Batch) error) error {
	if p == Brisk {
		return Rotate(ctx, cursor, width, use)
	}
	b := row.NewBatch(width)
	for {
		err := cursor.Fill(ctx, b)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if b.Len() > 0 {
			if used := use(b); used != nil {
				return used
			}
		}
		if err != nil {
			return nil
		}
		large := b.Size() > giveBack
		b.Reset()
		if large {
			debug.FreeOSMemory() // or what the last value left behind is resident beside the next
		}
	}
}

// giveBack is the size of a batch after which memory is given back to the system at once.
const giveBack = 8 << 20

// spare keeps batches that have grown from one range to the next.
var spare sync.Pool

func borrow(width int) *row.Batch {
	if b, ok := spare.Get().(*row.Batch); ok {
		b.Reshape(width)
		return b
	}
	return row.NewBatch(width)
}

// Rotate reads a cursor to its end and hands every batch to use, which may take its time: the next batch is read
// meanwhile. Use must not keep the batch. The first error of either side ends both.
func Rotate(ctx context.Context, cursor driver.Cursor, width int, use func(*row.Batch) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	free, full := make(chan *row.Batch, 2), make(chan *row.Batch, 1)
	for range cap(free) {
		b := borrow(width)
		defer spare.Put(b)
		free <- b
	}
	var reading sync.WaitGroup
	var read error
	reading.Go(func() {
		defer close(full)
		read = fill(ctx, cursor, free, full)
	})
	var used error
	for b := range full {
		if used != nil {
			continue // the reader is being stopped
		}
		if used = use(b); used != nil {
			cancel(used)
			continue
		}
		free <- b
	}
	reading.Wait()
	if used != nil {
		return used
	}
	return read
}

func fill(ctx context.Context, cursor driver.Cursor, free <-chan *row.Batch, full chan<- *row.Batch) error {
	for {
		var b *row.Batch
		select {
		case b = <-free:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		err := cursor.Fill(ctx, b)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if b.Len() > 0 {
			select {
			case full <- b:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if err != nil {
			return nil
		}
	}
}
