package sqlite

import (
	"context"
	"fmt"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/db/driver"
)

// Look runs a query and returns its rows as text.
func (e executor) Look(ctx context.Context, st driver.Statement) ([][]string, error) {
	var rows [][]string
	err := e.d.read(ctx, e.d.control, func(s *session) error {
		rows = nil
		return s.each(st.SQL, func(line *sqlite3.Stmt) error {
			cells := make([]string, line.ColumnCount())
			for i := range cells {
				if cells[i] = line.ColumnText(i); line.ColumnType(i) == sqlite3.NULL {
					cells[i] = "NULL"
				}
			}
			rows = append(rows, cells)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", st.Purpose, err)
	}
	return rows, nil
}
