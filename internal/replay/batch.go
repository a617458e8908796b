package replay

import (
	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/load"
	"github.com/whimbrel/whimbrel/row"
)

// batch is what one Take brought, on its way to the target.
type batch struct {
	keys, images *row.Batch
	mended       *row.Batch // the keys of the repair list that were asked for
	stamp        int64      // of the repair list
	receipt      driver.Receipt
	staged       driver.Staged // its keys and images are at the target
	most         int           // entries it could have
	entries      int           // and has
	cut          bool          // there are more, which the driver left because its rows are large
}

func newBatch(from load.End) *batch {
	key := len(from.Shape.Key)
	return &batch{keys: row.NewBatch(key), images: row.NewBatch(from.Shape.Width()), mended: row.NewBatch(key)}
}

// reset makes it ready to be filled with that many entries.
func (b *batch) reset(most int) {
	b.keys.Reset()
	b.images.Reset()
	b.mended.Reset()
	b.stamp, b.most, b.entries, b.cut = 0, most, 0, false
}

// appendKeys appends the keys of rows, whose places in them are key.
func appendKeys(keys, rows *row.Batch, key []int) error {
	var cells []byte
	for i := range rows.Len() {
		cells = rows.AppendKey(cells[:0], i, key)
		if err := keys.AppendRow(cells); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) empty() bool { return b.receipt == nil || b.entries == 0 && b.mended.Len() == 0 }

// close gives the sessions back; one that can not be given back is no loss to the batch. Again: does nothing.
func (b *batch) close() {
	if b.staged != nil {
		b.staged.Close()
		b.staged = nil
	}
	if b.receipt != nil {
		_ = b.receipt.Close()
		b.receipt = nil
	}
}
