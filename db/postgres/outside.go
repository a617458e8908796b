package postgres

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

//go:embed sql/reach.sql
var reach string

// Outside asks the server what the role can reach, in whatever way it was granted: to it, to everybody, to a role that it is a member
// of, or by what it is.
func (h shadows) Outside(ctx context.Context, s driver.Shadow, tables []*schema.Table) ([]string, error) {
	l, err := h.db.keeper(ctx)
	if err != nil {
		return nil, err
	}
	defer l.release()
	defer l.rollback(ctx)
	if err := l.exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return nil, fmt.Errorf("look what %s can reach: %w", s.Account, err)
	}
	if err := h.account(ctx, l.session, s.Account); err != nil {
		return nil, fmt.Errorf("look what %s can reach: %w", s.Account, err)
	}
	r, err := l.query(ctx, reach, s.Account, s.Place, nameArray(h.db.names(tables)))
	if err != nil {
		return nil, fmt.Errorf("look what %s can reach: %w", s.Account, err)
	}
	var found []string
	for _, line := range r.Rows {
		found = append(found, string(line[0]))
	}
	return found, l.exec(ctx, "COMMIT")
}
