package replay

import (
	"fmt"
	"slices"

	"github.com/whimbrel/whimbrel/row"
)

// The source may hold two values apart that a unique key of the target takes for one: each of the two rows, as it is written, removes the
// other, whose key goes on the repair list. Such keys come back for ever, whatever else changes meanwhile. Any other key comes back only while
// rows are stale that have its row's values, and goes for good; then the list is empty for a moment.

// A key is watched while it comes back: it is in a clash when it has done so often enough, and is let go when it has not for some time.
const (
	often  = 200
	seldom = 50
)

// clash watches one key of the repair list, from when the list was last seen empty.
type clash struct {
	key  []byte // the run of its framed cells; nil while none is watched
	came int    // how often its row was put right
	gone int    // how many batches ago that was
}

// see is told of the keys that one batch has put right.
func (c *clash) see(mended *row.Batch) {
	switch {
	case mended.Len() == 0:
	case c.key != nil && c.in(mended):
		c.came, c.gone = c.came+1, 0
	case c.key != nil && c.gone < seldom:
		c.gone++
	default:
		*c = clash{key: slices.Clone(mended.Row(0)), came: 1}
	}
}

func (c *clash) in(mended *row.Batch) bool {
	for i := range mended.Len() {
		if string(mended.Row(i)) == string(c.key) {
			return true
		}
	}
	return false
}

// err is that rows displace each other for ever, when they do.
func (c *clash) err() error {
	if c.came < often {
		return nil
	}
	cells, err := row.Key(c.key).Cells()
	if err != nil {
		return err
	}
	return fmt.Errorf("the row with the key %q and another remove each other again and again: a unique key of the target takes values for one that the source holds apart; reset, and change these values or how the target compares them", cells)
}
