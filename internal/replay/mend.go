package replay

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/load"
	"github.com/whimbrel/whimbrel/row"
)

// Mend makes the target's rows of these keys what the source's are now, and writes no others but those that a unique value
// displaces. It is for a table whose source is shut and has no record of it; one that is recorded is mended by its replay,
// through the repair list. Again: writes the same rows.
func Mend(ctx context.Context, from, to load.End, epoch int64, keys *row.Batch) error {
	m := mending{from: from, to: to, epoch: epoch}
	err := m.durable(ctx, keys)
	if err == nil {
		err = m.some(ctx, keys, 0)
	}
	if err != nil {
		return fmt.Errorf("mend %s: %w", to.Table.Name, err)
	}
	for {
		displaced := row.NewBatch(keys.Width())
		stamp, err := to.Database.Lists.Peek(ctx, driver.Repairs, to.Table, 500, displaced)
		if err == nil && displaced.Len() == 0 {
			return nil
		}
		if err == nil {
			err = m.some(ctx, displaced, stamp)
		}
		if err != nil {
			return fmt.Errorf("mend %s: %w", to.Table.Name, err)
		}
	}
}

type mending struct {
	from, to load.End
	epoch    int64
}

// durable returns when the rows of these keys, as they are now, would survive a crash of the source (HAZARDS C7).
func (m mending) durable(ctx context.Context, keys *row.Batch) error {
	shape := m.from.Shape.Keys()
	cursor, err := m.from.Database.Reader.Read(ctx, driver.Query{Table: m.from.Table, Shape: shape, Keys: keys})
	if err != nil {
		return fmt.Errorf("read the keys: %w", err)
	}
	defer cursor.Close()
	for b := row.NewBatch(shape.Width()); ; {
		switch err := cursor.Fill(ctx, b); {
		case errors.Is(err, io.EOF):
			return cursor.Durable(ctx)
		case err != nil:
			return fmt.Errorf("read the keys: %w", err)
		}
	}
}

// some writes the rows of these keys as they are read, and then removes those that the source has not got. A stamp says that
// they are of the repair list.
func (m mending) some(ctx context.Context, keys *row.Batch, stamp int64) error {
	cursor, err := m.from.Database.Reader.Read(ctx, driver.Query{Table: m.from.Table, Shape: m.from.Shape, Keys: keys})
	if err != nil {
		return fmt.Errorf("read the rows: %w", err)
	}
	defer cursor.Close()
	images, read := row.NewBatch(m.from.Shape.Width()), row.NewBatch(keys.Width())
	found := row.NewBatch(keys.Width())
	for ended := false; !ended; {
		err := cursor.Fill(ctx, images)
		if ended = errors.Is(err, io.EOF); err != nil && !ended {
			return fmt.Errorf("read the rows: %w", err)
		}
		read.Reset()
		if err := errors.Join(appendKeys(read, images, m.from.Shape.Key), appendKeys(found, images, m.from.Shape.Key)); err != nil {
			return err
		}
		if err := m.apply(ctx, read, images, stamp); err != nil {
			return err
		}
	}
	gone, err := sift(keys, found, outside)
	if err != nil {
		return err
	}
	images.Reset()
	return m.apply(ctx, gone, images, stamp)
}

// apply makes the target have these rows under these keys, and no others.
func (m mending) apply(ctx context.Context, keys, images *row.Batch, stamp int64) error {
	if keys.Len() == 0 {
		return nil
	}
	last, err := m.to.Database.Ledger.Number(ctx, m.to.Table, 0)
	if err != nil {
		return fmt.Errorf("read the target's ledger: %w", err)
	}
	d := driver.Delta{
		Table: m.to.Table, Shape: m.to.Shape, Epoch: m.epoch, Number: last.Number + 1, Keys: keys, Images: images, Stamp: stamp,
	}
	if stamp > 0 {
		d.Mended = keys
	}
	return m.to.Database.Applier.Apply(ctx, d)
}
