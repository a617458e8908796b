package replay

import (
	"context"
	"fmt"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/load"
	"github.com/whimbrel/whimbrel/row"
)

// Reconcile reads every key of the target again at the source: what is not there any more goes, what is there is written as it
// is now. It answers everything that removes rows without naming them (a truncation, a partition that was dropped), is
// right however often it runs, and needs no order: changes it overtakes are still in the record (HAZARDS C11).
func (l *Lane) Reconcile(ctx context.Context) error { return l.reread(ctx, l.To) }

// Reread reads every key of both sides again: it answers a time in which changes of any kind may not have been noted.
func (l *Lane) Reread(ctx context.Context) error {
	if err := l.reread(ctx, l.To); err != nil {
		return err
	}
	return l.reread(ctx, l.From)
}

// reread makes the target equal for every key that one end has. It takes a session of each side beside those that the caller
// may hold.
func (l *Lane) reread(ctx context.Context, end load.End) error {
	if l.Lanes > 1 {
		return errLanes
	}
	if l.Again != nil {
		select {
		case l.Again <- struct{}{}:
			defer func() { <-l.Again }()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if err := l.align(ctx); err != nil {
		return err
	}
	inner := NewLane(l.From, l.To, l.Epoch) // with batches of its own: one may be under way in l
	inner.Lane, inner.Lanes, inner.Most, inner.Note, inner.number = l.Lane, l.Lanes, l.Most, l.Note, l.number

	keys := end.Shape.Keys()
	cursor, err := end.Database.Reader.Read(ctx, driver.Query{Table: end.Table, Shape: keys})
	if err != nil {
		return fmt.Errorf("read the keys of %s: %w", end.Table.Name, err)
	}
	defer cursor.Close()
	err = load.Rotate(ctx, cursor, keys.Width(), func(page *row.Batch) error { return inner.again(ctx, page) })
	if l.number = inner.number; err != nil {
		l.number = -1 // which batch was the last is asked again
	}
	return err
}

// again makes the target equal for these keys, a few at a time, without taking an entry from the record.
func (l *Lane) again(ctx context.Context, page *row.Batch) error {
	some := row.NewBatch(page.Width())
	for at := 0; at < page.Len(); {
		some.Reset()
		for most := l.most(); at < page.Len() && some.Len() < most; at++ {
			if err := some.AppendRow(page.Row(at)); err != nil {
				return err
			}
		}
		if err := l.againFew(ctx, some); err != nil {
			return err
		}
		l.adapt(l.now.images.Size())
	}
	return nil
}

// againFew makes the target equal for keys that one batch may hold. A driver that ends a batch of large rows early leaves keys
// out: these are asked for once more.
func (l *Lane) againFew(ctx context.Context, keys *row.Batch) error {
	for keys.Len() > 0 {
		l.now.reset(0)
		if err := l.take(ctx, l.now, keys, nil); err != nil {
			return err
		}
		err := l.doubt(ctx, l.now)
		if err == nil {
			err = l.settle(ctx, l.now)
		}
		l.now.close()
		if err != nil {
			return err
		}
		if keys, err = without(keys, l.now.keys); err != nil {
			return err
		}
	}
	return nil
}

// without returns the keys that are not among those done; that nothing was done is an error.
func without(keys, done *row.Batch) (*row.Batch, error) {
	if done.Len() == 0 {
		return nil, fmt.Errorf("%d keys were asked for and none was read", keys.Len())
	}
	return sift(keys, done, outside)
}

// among returns the keys that are among those done.
func among(keys, done *row.Batch) (*row.Batch, error) { return sift(keys, done, inside) }

// place says which keys sift keeps.
type place bool

const (
	inside  place = true
	outside place = false
)

func sift(keys, done *row.Batch, keep place) (*row.Batch, error) {
	some := row.NewBatch(keys.Width())
	if keys.Len() == 0 {
		return some, nil
	}
	known := make(map[string]struct{}, done.Len())
	for i := range done.Len() {
		known[string(done.Row(i))] = struct{}{}
	}
	for i := range keys.Len() {
		if _, ok := known[string(keys.Row(i))]; place(ok) == keep {
			if err := some.AppendRow(keys.Row(i)); err != nil {
				return nil, err
			}
		}
	}
	return some, nil
}
