package postgres

import (
	"context"
	"fmt"

	"github.com/whimbrel/whimbrel/db/driver"
)

// Look runs a query and returns its rows as text.
func (db *database) Look(ctx context.Context, s driver.Statement) ([][]string, error) {
	l, err := db.worker(ctx)
	if err != nil {
		return nil, err
	}
	defer l.release()
	got, err := l.query(ctx, s.SQL)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Purpose, err)
	}
	rows := make([][]string, len(got.Rows))
	for i, cells := range got.Rows {
		for _, c := range cells {
			text := "NULL"
			if c != nil {
				text = string(c)
			}
			rows[i] = append(rows[i], text)
		}
	}
	return rows, nil
}
