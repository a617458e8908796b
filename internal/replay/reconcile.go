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
func (l *Lane) Reconcile(ctx context.Context) error {
	if err := l.align(ctx); err != nil {
		return err
	}
	inner := NewLane(l.From, l.To, l.Epoch) // with batches of its own: one may be under way in l
	inner.Lane, inner.Lanes, inner.Note, inner.number = l.Lane, l.Lanes, l.Note, l.number

	keys := l.To.Shape.Keys()
	cursor, err := l.To.Database.Reader.Read(ctx, driver.Query{Table: l.To.Table, Shape: keys})
	if err != nil {
		return fmt.Errorf("read the target's keys: %w", err)
	}
	defer cursor.Close()
	err = load.Rotate(ctx, cursor, keys.Width(), func(page *row.Batch) error { return inner.again(ctx, page) })
	l.number = inner.number
	return err
}

// again makes the target equal for these keys, without taking an entry from the record.
func (l *Lane) again(ctx context.Context, keys *row.Batch) error {
	l.keys.Reset()
	l.images.Reset()
	receipt, err := l.take(ctx, 0, keys)
	if err != nil {
		return err
	}
	defer receipt.Close()
	return l.settle(ctx, receipt, l.delta())
}
