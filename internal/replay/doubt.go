package replay

import (
	"context"
	"errors"
	"fmt"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/load"
	"github.com/whimbrel/whimbrel/row"
)

// ErrUnseen says that rows which were not found with the record are there: they came back meanwhile, or the session that reads
// the record does not see them. What it does not see would be removed at the target.
var ErrUnseen = errors.New("rows that are there were not found when the record was read")

// doubtful is how many keys of a batch must be without a row, and more than half of all, before that is doubted.
const doubtful = 64

// doubt looks a second time where very many keys of a batch have no row (HAZARDS 54): by the statement that the load reads with, in
// a session of its own. If it finds more than half of them the batch must not be applied, and is taken again: an application that
// removes rows and puts them back has been seen in between, and the entries of what it put back are in the record by now. The session is
// the one that the batch behind this one is taken with later, or that reread has beside the batches'.
func (l *Lane) doubt(ctx context.Context, b *batch) error {
	if missing := b.keys.Len() - b.images.Len(); missing < doubtful || 2*missing <= b.keys.Len() {
		return nil
	}
	shape := l.From.Shape
	found := row.NewBatch(b.keys.Width())
	if err := appendKeys(found, b.images, shape.Key); err != nil {
		return err
	}
	missing, err := sift(b.keys, found, outside)
	if err != nil {
		return err
	}
	cursor, err := l.From.Database.Reader.Read(ctx, driver.Query{Table: l.From.Table, Shape: shape.Keys(), Keys: missing})
	if err != nil {
		return fmt.Errorf("look a second time for the rows of %d keys: %w", missing.Len(), err)
	}
	defer cursor.Close()
	there := 0
	if err := load.Rotate(ctx, cursor, missing.Width(), func(page *row.Batch) error { there += page.Len(); return nil }); err != nil {
		return fmt.Errorf("look a second time for the rows of %d keys: %w", missing.Len(), err)
	}
	if 2*there > missing.Len() {
		return fmt.Errorf("%w: %d of %d changed keys had no row, and a second look found %d of these; nothing was removed at the target. The application puts rows back as fast as it removes them, or something hides them from the role of the move: see to that, and give the command again",
			ErrUnseen, missing.Len(), b.keys.Len(), there)
	}
	return nil
}
