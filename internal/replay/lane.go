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
	"sync"
	"sync/atomic"
	"time"

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
	Known    int64         // the last batch that an earlier process has kept: where fewer are known, both sides were set back

	bound  int          // the entries a batch may have, so that its rows stay small in memory
	number int64        // the last batch that both sides have; -1 before they were asked
	high   atomic.Int64 // the last batch that this lane has applied
	done   Done         // of this step so far
	now    *batch
	next   *batch // read while now is applied
	apart  clash
}

// NewLane returns a lane that has asked neither side yet.
func NewLane(from, to load.End, epoch int64) *Lane {
	return &Lane{
		From: from, To: to, Lanes: 1, Epoch: epoch, number: -1, bound: 500,
		Most: func() int { return 10_000 }, Note: func() bool { return false },
		now: newBatch(from), next: newBatch(from),
	}
}

// Batch is the last batch that is known to have been applied, by this lane or before it. Others may ask meanwhile.
func (l *Lane) Batch() int64 { return max(l.Known, l.high.Load()) }

// Done is what one step did.
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

// errLanes refuses what several lanes of one table can not do: the repair list and every key of the table are for one lane, or
// one key has two takers, and the older row wins (HAZARDS C4; the model's any-repairs).
var errLanes = errors.New("a table that is replayed by several lanes can not have other unique keys than its own, nor be read again")

// ErrAgain says that the batch must be taken again, now, for a reason that has passed.
var ErrAgain = errors.New("the two sides know another batch than this lane; what is left is taken again")

// Step takes a batch and applies it, and, while there are more and the source can, takes the next one meanwhile, a few in a
// row. An error leaves both sides as they were or the batch applied at the target and its entries still in the record; the
// next Step asks both ledgers and goes on from there. What is done is what both sides have, also where it ends with an error.
func (l *Lane) Step(ctx context.Context) (Done, error) {
	l.done = Done{}
	if err := l.step(ctx); err != nil {
		l.number = -1
		return l.done, fmt.Errorf("replay %s: %w", l.From.Table.Name, err)
	}
	return l.done, nil
}

// inARow is how many batches one step takes at most, and aWhile for how long it begins new ones: then the record is read from its
// beginning again, where an entry that became visible late may stand, and keys that wait on the repair list are taken.
const (
	inARow = 32
	aWhile = 2 * time.Second
)

func (l *Lane) step(ctx context.Context) (err error) {
	if l.Lanes > 1 && len(l.To.Table.Uniques) > 0 {
		return errLanes
	}
	if err := l.align(ctx); err != nil {
		return err
	}
	if err := l.first(ctx); err != nil {
		return err
	}
	for n, began := 1, time.Now(); err == nil && !l.now.empty(); n++ {
		more := n < inARow && time.Since(began) < aWhile && l.full(l.now) && l.ahead()
		err = l.carry(ctx, more)
		l.done.Full = n > 1 || l.full(l.now)
		if !more {
			break
		}
		l.now.close()
		l.now, l.next = l.next, l.now
	}
	l.now.close()
	l.next.close()
	return err
}

// first takes the first batch of a step, with keys of the repair list.
func (l *Lane) first(ctx context.Context) (err error) {
	b := l.now
	b.reset(l.most())
	if b.stamp, err = l.To.Database.Lists.Peek(ctx, driver.Repairs, l.To.Table, b.most, b.mended); err != nil {
		return fmt.Errorf("read the repair list: %w", err)
	}
	if b.mended.Len() == 0 {
		l.apart = clash{}
	}
	return l.take(ctx, b, b.mended, nil)
}

// full reports that there may be more behind a batch: it is as long as it was to be, or a driver has ended it early because
// its rows are large.
func (l *Lane) full(b *batch) bool {
	return b.entries >= b.most || b.mended.Len() >= b.most || b.cut
}

// ahead reports whether the batch behind this one may be taken now: not where two would be large in memory, and not before a
// truncation is answered, which reads every key.
func (l *Lane) ahead() bool {
	return l.From.Database.Info.Limits.Ahead && l.now.images.Size() < large && !l.now.receipt.Emptied()
}

// carry brings the batch to its end and, when more is asked for, takes the one behind it at the same time. The rows of that one
// are read later than this one's and are applied later, so a key that is in both ends as it was read last.
func (l *Lane) carry(ctx context.Context, more bool) error {
	if l.now.receipt.Emptied() {
		if err := l.Reconcile(ctx); err != nil {
			return fmt.Errorf("read every key again after the table was emptied: %w", err)
		}
	}
	if err := l.doubt(ctx, l.now); err != nil {
		return err
	}
	l.adapt(l.now.images.Size())
	if !more {
		return l.settle(ctx, l.now)
	}
	taking, cancel := context.WithCancel(ctx)
	defer cancel()
	l.next.reset(l.most())
	front := l.now.receipt
	var wg sync.WaitGroup
	var taken error
	ready := make(chan struct{})
	wg.Go(func() {
		if taken = l.take(taking, l.next, nil, front); taken != nil || l.next.empty() || l.next.receipt.Emptied() {
			return // where the table was emptied, every key is read before the batch has its turn, for hours perhaps
		}
		select {
		case <-ready: // a batch whose turn it is does not wait for a session that the one behind it has
			taken = l.stage(taking, l.next, true)
		case <-taking.Done():
			taken = context.Cause(taking)
		}
	})
	err := l.stage(ctx, l.now, false)
	if err == nil {
		close(ready)
		err = l.settle(ctx, l.now)
	}
	if err != nil {
		cancel()
	}
	wg.Wait()
	if err != nil {
		return err // what was taken behind it stays in the record
	}
	return taken
}

// stage brings a batch to the target before its turn, where the target can; told to be quick, only if a session is free.
func (l *Lane) stage(ctx context.Context, b *batch, quick bool) (err error) {
	if l.To.Database.Stager == nil || b.staged != nil {
		return nil
	}
	delta := driver.Delta{Table: l.To.Table, Shape: l.To.Shape, Lane: l.Lane, Epoch: l.Epoch, Keys: b.keys, Images: b.images}
	if b.staged, err = l.To.Database.Stager.Stage(ctx, delta, quick); err != nil {
		b.staged = nil
		return fmt.Errorf("bring a batch to the target: %w", err)
	}
	return nil
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
		l.bound = min(4*l.bound, 1<<20)
	case size > large:
		l.bound = max(int(int64(l.bound)*large/int64(size)), 1)
	}
}

// align asks both sides which batch they know last (HAZARDS C8). The source promises a batch before the target has it, and
// forgets it after, so that the two sides know the same batch but for one that was promised and not applied, or applied and
// not forgotten: any other numbers mean that one side was set back to an earlier time. Where both were, to times that fit each
// other, both know fewer batches than we do. An open end is closed first, by a batch without keys or by the number alone. So no
// number ever stands for the rows of two attempts, and a source that is set back to a time between them shows.
func (l *Lane) align(ctx context.Context) error {
	if l.number >= 0 {
		return nil
	}
	applied, err := l.To.Database.Ledger.Number(ctx, l.To.Table, l.Lane)
	if err != nil {
		return fmt.Errorf("read the target's ledger: %w", err)
	}
	if known := l.Batch(); applied.Number < known {
		return fmt.Errorf("%w (batch %d had been applied, and the target knows %d)", ErrTimeTravel, known, applied.Number)
	}
	source, err := l.From.Database.Recorder.Numbers(ctx, l.From.Table, l.Lane)
	if err != nil {
		return fmt.Errorf("read the source's batch numbers: %w", err)
	}
	last, by := applied.Number, applied.By
	switch source {
	case driver.Numbers{Promised: last, Forgotten: last, By: by}:
		l.number = last
		return nil
	case driver.Numbers{Promised: last + 1, Forgotten: last, By: source.By}:
		l.number = last
		if err := l.spend(ctx, source.By); err != nil {
			l.number = -1
			return err
		}
		last++
	case driver.Numbers{Promised: last, Forgotten: last - 1, By: by}:
	default:
		return fmt.Errorf("%w (the source has promised batch %d in epoch %d and forgotten %d, the target has applied %d of epoch %d)",
			ErrTimeTravel, source.Promised, source.By, source.Forgotten, last, by)
	}
	if err := l.acknowledge(ctx, last); err != nil {
		l.number = -1
		return fmt.Errorf("write batch number %d: %w", last, err)
	}
	l.number = last
	return nil
}

// spend applies the batch that was promised, by whoever did, as one without keys.
func (l *Lane) spend(ctx context.Context, by int64) error {
	l.now.reset(0)
	delta, err := l.delta(l.now)
	if err != nil {
		return err
	}
	delta.By = by
	return l.apply(ctx, l.now, delta)
}

// acknowledge writes a batch's number at the source and forgets no entry: what the batch took is taken again.
func (l *Lane) acknowledge(ctx context.Context, number int64) error {
	l.now.reset(0)
	if err := l.take(ctx, l.now, nil, nil); err != nil {
		return err
	}
	defer l.now.close()
	return l.now.receipt.Forget(ctx, number)
}

// take fills a batch from the record and with the rows of these further keys.
func (l *Lane) take(ctx context.Context, b *batch, also *row.Batch, beyond driver.Receipt) (err error) {
	b.receipt, err = l.From.Database.Recorder.Take(ctx, driver.Want{
		Table: l.From.Table, Shape: l.From.Shape, Lane: l.Lane, Lanes: l.Lanes, Epoch: l.Epoch, Most: b.most, Also: also, Beyond: beyond,
	}, b.keys, b.images)
	if err != nil {
		b.receipt = nil
		return fmt.Errorf("take changed keys: %w", err)
	}
	b.entries, b.cut = b.receipt.Entries(), b.receipt.Cut()
	failpoint.Hit("replay.taken")
	return nil
}

// settle brings one batch to its end: durable at the source, committed and durable at the target, then forgotten.
func (l *Lane) settle(ctx context.Context, b *batch) error {
	delta, err := l.delta(b)
	if err != nil {
		return err
	}
	if err := b.receipt.Durable(ctx, delta.Number); err != nil {
		if l.From.Database.Dialect.Classify(err) == driver.Conflict {
			return fmt.Errorf("promise batch %d: %w (%w)", delta.Number, ErrAgain, err) // the numbers tell why
		}
		return fmt.Errorf("wait for the source's log to be on disk: %w", err)
	}
	if delta.Images.Size() > large {
		debug.FreeOSMemory() // what reading these rows left behind would be resident beside the target's copy of them
	}
	failpoint.Hit("replay.apply.before")
	if err := l.apply(ctx, b, delta); err != nil {
		return err
	}
	failpoint.Hit("replay.apply.after")
	l.number = delta.Number
	if err := b.receipt.Forget(ctx, delta.Number); err != nil {
		return fmt.Errorf("forget batch %d: %w", delta.Number, err)
	}
	l.done.Entries, l.done.Mended, l.done.Rows = l.done.Entries+b.entries, l.done.Mended+b.mended.Len(), l.done.Rows+b.images.Len()
	failpoint.Hit("replay.forgotten")
	l.apart.see(delta.Mended)
	return l.apart.err()
}

func (l *Lane) apply(ctx context.Context, b *batch, delta driver.Delta) error {
	apply := l.To.Database.Applier.Apply
	if b.staged != nil {
		apply = b.staged.Apply
	}
	err := apply(ctx, delta)
	if err != nil && l.To.Database.Dialect.Classify(err) == driver.Exists {
		// An earlier attempt has come through after all, with other keys than these perhaps: they are taken again.
		return fmt.Errorf("apply batch %d: %w", delta.Number, ErrAgain)
	}
	if err != nil {
		return fmt.Errorf("apply batch %d: %w", delta.Number, err)
	}
	l.high.Store(delta.Number)
	return nil
}

func (l *Lane) delta(b *batch) (driver.Delta, error) {
	mended, err := among(b.mended, b.keys)
	return driver.Delta{
		Table: l.To.Table, Shape: l.To.Shape, Lane: l.Lane, Epoch: l.Epoch, Number: l.number + 1, By: l.Epoch,
		Keys: b.keys, Images: b.images, Mended: mended, Stamp: b.stamp, Note: l.Note(),
	}, err
}
