package mysql

import (
	"context"
	"fmt"

	"github.com/whimbrel/whimbrel/db/driver"
)

// Look runs a query and returns its rows as text. A NULL shows as an empty text: keys, which is what dialects look for, have
// none.
func (d *database) Look(ctx context.Context, st driver.Statement) ([][]string, error) {
	var rows [][]string
	err := d.control.with(ctx, func(s *session) (err error) {
		rows, err = s.rows(ctx, st.SQL)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", st.Purpose, err)
	}
	return rows, nil
}
