// Package replay makes the target equal to the source, key by key. The source's record says which keys changed; a batch reads
// those rows as they are now, makes the target have them, and only after the target has committed forgets exactly the
// entries it took. There is no position and no order to get wrong: entries may come in any order and more than once, and
// a transaction that commits late is found late, and found (docs/protocol.md).
package replay

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/failpoint"
	"github.com/whimbrel/whimbrel/internal/load"
	"github.com/whimbrel/whimbrel/row"
)

// Lane is one ordered stream of batches for a part of a table's keys. It is used by one goroutine.
type Lane struct {
	From, To load.End
	Lane     int
	Lanes    int
	Epoch    int64
	Most     func() int    // entries a batch, asked for before each
	Note     func() bool   // whether the keys applied go on the changed list, asked for before each
	Again    chan struct{} // when not nil, held while keys are read again; lanes that share it take turns

	bound  int   // the entries a batch may have, so that its rows stay small in memory
	number int64 // the last batch that both sides have; -1 before they were asked
	keys   *row.Batch
	images *row.Batch
	mended *row.Batch
}

// NewLane returns a lane that has asked neither side yet.
func NewLane(from, to load.End, epoch int64) *Lane {
	return &Lane{
		From: from, To: to, Lanes: 1, Epoch: epoch, number: -1, bound: 500,
		Most: func() int { return 10_000 }, Note: func() bool { return false },
		keys: row.NewBatch(len(from.Shape.Key)), images: row.NewBatch(from.Shape.Width()), mended: row.NewBatch(len(from.Shape.Key)),
	}
}

// Done is what one batch did.
type Done struct {
	Entries int  // of the record
	Mended  int  // keys of the repair list
	Rows    int  // written at the target
	Full    bool // there may be more at once
}

// Empty reports that there was nothing to do.
func (d Done) Empty() bool { return d.Entries == 0 && d.Mended == 0 }

// ErrTimeTravel says that the two sides do not remember the same batches: one of them was restored to an earlier time, or is
// another database. Nothing of the table can be trusted then (HAZARDS C8).
var ErrTimeTravel = errors.New("source and target do not remember the same batches: one of them was set back to an earlier time or is another database; verify what it is, then reset and start the move again")

// ErrAgain says that the batch must be taken again, now, for a reason that has passed.
var ErrAgain = errors.New("the batch was applied by an earlier attempt; what is left is taken again")

// Step takes one batch and applies it. An error leaves both sides as they were or the batch applied at the target and its
// entries still in the record; the next Step asks both ledgers and goes on from there.
func (l *Lane) Step(ctx context.Context) (Done, error) {
	done, err := l.step(ctx)
	if err != nil {
		l.number = -1
		return done, fmt.Errorf("replay %s: %w", l.From.Table.Name, err)
	}
	return done, nil
}

func (l *Lane) step(ctx context.Context) (Done, error) {
	if err := l.align(ctx); err != nil {
		return Done{}, err
	}
	l.keys.Reset()
	l.images.Reset()
	l.mended.Reset()
	most := l.most()
	stamp, err := l.To.Database.Lists.Peek(ctx, driver.Repairs, l.To.Table, most, l.mended)
	if err != nil {
		return Done{}, fmt.Errorf("read the repair list: %w", err)
	}
	receipt, err := l.take(ctx, most, l.mended)
	if err != nil {
		return Done{}, err
	}
	defer receipt.Close()
	if receipt.Entries() == 0 && l.mended.Len() == 0 {
		return Done{}, nil
	}
	if receipt.Emptied() {
		if err := l.Reconcile(ctx); err != nil {
			return Done{}, fmt.Errorf("read every key again after the table was emptied: %w", err)
		}
	}
	done := Done{Entries: receipt.Entries(), Mended: l.mended.Len()} // forgetting empties the receipt
	delta := l.delta()
	if delta.Mended, err = among(l.mended, l.keys); err != nil {
		return Done{}, err
	}
	delta.Stamp = stamp
	if err := l.settle(ctx, receipt, delta); err != nil {
		return Done{}, err
	}
	done.Rows = l.images.Len()
	done.Full = done.Entries >= most || done.Mended >= most || l.images.Size() >= small // a driver ends a batch of large rows early
	l.adapt(l.images.Size())
	return done, nil
}

// most is how many entries the next batch takes.
func (l *Lane) most() int { return max(min(l.Most(), l.bound), 1) }

// A batch whose rows take less than small bytes may grow; one that takes more than large is cut down.
const small, large = 4 << 20, 16 << 20

// adapt lets batches grow while their rows are small and cuts them down when these are large: a batch is held in memory
// whole, and nothing tells the size of a row before it is read.
func (l *Lane) adapt(size int) {
	switch {
	case size < small:
		l.bound = min(2*l.bound, 1<<20)
	case size > large:
		l.bound = max(int(int64(l.bound)*large/int64(size)), 1)
	}
}

// align asks both sides which batch they know last. The source writes a batch's number after the target has it, so it may be
// one behind, and never anything else. Where it is, the number alone is written first: two batches whose Forget failed one
// after the other would leave the source two behind.
func (l *Lane) align(ctx context.Context) error {
	if l.number >= 0 {
		return nil
	}
	applied, err := l.To.Database.Ledger.Number(ctx, l.To.Table, l.Lane)
	if err != nil {
		return fmt.Errorf("read the target's ledger: %w", err)
	}
	forgotten, err := l.From.Database.Recorder.Number(ctx, l.From.Table, l.Lane)
	if err != nil {
		return fmt.Errorf("read the source's batch number: %w", err)
	}
	switch forgotten {
	case applied:
	case applied - 1:
		if err := l.acknowledge(ctx, applied); err != nil {
			return fmt.Errorf("write batch number %d: %w", applied, err)
		}
	default:
		return fmt.Errorf("%w (batch %d at the source, %d at the target)", ErrTimeTravel, forgotten, applied)
	}
	l.number = applied
	return nil
}

// acknowledge writes a batch's number at the source and forgets no entry: what the batch took is taken again.
func (l *Lane) acknowledge(ctx context.Context, number int64) error {
	l.keys.Reset()
	l.images.Reset()
	receipt, err := l.take(ctx, 0, nil)
	if err != nil {
		return err
	}
	defer receipt.Close()
	return receipt.Forget(ctx, number)
}

func (l *Lane) take(ctx context.Context, most int, also *row.Batch) (driver.Receipt, error) {
	receipt, err := l.From.Database.Recorder.Take(ctx, driver.Want{
		Table: l.From.Table, Shape: l.From.Shape, Lane: l.Lane, Lanes: l.Lanes, Most: most, Also: also,
	}, l.keys, l.images)
	if err != nil {
		return nil, fmt.Errorf("take changed keys: %w", err)
	}
	failpoint.Hit("replay.taken")
	return receipt, nil
}

func (l *Lane) delta() driver.Delta {
	return driver.Delta{
		Table: l.To.Table, Shape: l.To.Shape, Lane: l.Lane, Epoch: l.Epoch, Number: l.number + 1,
		Keys: l.keys, Images: l.images, Note: l.Note(),
	}
}

// settle brings one batch to its end: durable at the source, committed and durable at the target, then forgotten.
func (l *Lane) settle(ctx context.Context, receipt driver.Receipt, delta driver.Delta) error {
	if err := receipt.Durable(ctx); err != nil {
		return fmt.Errorf("wait for the source's log to be on disk: %w", err)
	}
	if delta.Images.Size() > large {
		debug.FreeOSMemory() // what reading these rows left behind would be resident beside the target's copy of them
	}
	failpoint.Hit("replay.apply.before")
	if err := l.To.Database.Applier.Apply(ctx, delta); err != nil {
		if l.To.Database.Dialect.Classify(err) == driver.Exists {
			// An earlier attempt has come through after all, with other keys than these perhaps: they are taken again.
			return fmt.Errorf("apply batch %d: %w", delta.Number, ErrAgain)
		}
		return fmt.Errorf("apply batch %d: %w", delta.Number, err)
	}
	failpoint.Hit("replay.apply.after")
	l.number = delta.Number
	if err := receipt.Forget(ctx, delta.Number); err != nil {
		return fmt.Errorf("forget batch %d: %w", delta.Number, err)
	}
	failpoint.Hit("replay.forgotten")
	return nil
}
