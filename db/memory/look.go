package memory

import (
	"context"

	"github.com/whimbrel/whimbrel/db/driver"
)

// Look runs a statement. Here the only query is that for rows without a parent, which fails where there is one: then the
// failure's text is the row.
func (r executor) Look(ctx context.Context, st driver.Statement) ([][]string, error) {
	err := r.Execute(ctx, st)
	if c := (Dialect{}).Classify(err); err != nil && (c == driver.Conflict || c == driver.BadData) {
		return [][]string{{err.Error()}}, nil
	}
	return nil, err
}
