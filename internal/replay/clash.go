package replay

import (
	"context"
	"fmt"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
)

// The source may hold two values apart that a unique key of the target takes for one: each of the two rows, as it is written, removes the
// other, whose key goes on the repair list. Any other key leaves that list for good when its row is written as it is now while no change comes:
// rows as they are at the source can not be in each other's way.

// A list is weighed after some rounds, and rows are in a clash when it has not become shorter some times in a row: a list of huge rows is
// worked off one by one, and somebody may put further keys on it meanwhile.
const (
	someRounds = 50
	someTimes  = 4
)

// clash counts the rounds in which rows were put right and no change had come.
type clash struct {
	rounds int
	left   int64 // on the list, when it was weighed last
	stuck  int   // how often it had not become shorter
}

// judge returns an error when rows displace each other for ever.
func (c *clash) judge(ctx context.Context, l *Lane, done Done) error {
	if done.Entries > 0 || done.Mended == 0 {
		*c = clash{}
		return nil
	}
	if c.rounds++; c.rounds%someRounds > 0 {
		return nil
	}
	left, err := l.To.Database.Lists.Count(ctx, driver.Repairs, l.To.Table)
	if err != nil {
		return nil // it is weighed again
	}
	if left == 0 || left < c.left {
		c.stuck = 0
	} else {
		c.stuck++
	}
	if c.left = left; c.stuck < someTimes {
		return nil
	}
	keys := row.NewBatch(len(l.To.Shape.Key))
	if _, err := l.To.Database.Lists.Peek(ctx, driver.Repairs, l.To.Table, 1, keys); err != nil || keys.Len() == 0 {
		return nil
	}
	cells, err := row.Key(keys.Row(0)).Cells()
	if err != nil {
		return err
	}
	return fmt.Errorf("replay %s: the row with the key %q and another remove each other again and again: a unique key of the target takes values for one that the source holds apart; reset, and change these values or how the target compares them",
		l.From.Table.Name, cells)
}
