package sqlite

import (
	"context"
	"fmt"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
)

type executor struct{ d *database }

// Execute runs one statement in a transaction of its own. A query runs to its end, without the write lock, and its rows
// are dropped.
func (e executor) Execute(ctx context.Context, st driver.Statement) error {
	run := func(s *session) error {
		_, err := s.exec(st.SQL)
		return err
	}
	var err error
	if strings.HasPrefix(st.SQL, "SELECT ") {
		err = e.d.read(ctx, e.d.control, run)
	} else {
		err = e.d.write(ctx, lockWait, run)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", st.Purpose, err)
	}
	return nil
}
