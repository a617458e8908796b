package release

import (
	"context"
	"database/sql/driver"
)

// nowhere is a database that takes every statement and does nothing, so that goose can read migrations without one.
type nowhere struct{}

// Connect connects to nothing.
func (n nowhere) Connect(context.Context) (driver.Conn, error) { return n, nil }

// Driver is itself.
func (n nowhere) Driver() driver.Driver { return n }

// Open opens nothing.
func (n nowhere) Open(string) (driver.Conn, error) { return n, nil }

// Prepare takes a statement.
func (n nowhere) Prepare(string) (driver.Stmt, error) { return n, nil }

// Begin begins nothing.
func (n nowhere) Begin() (driver.Tx, error) { return n, nil }

// Commit commits nothing.
func (n nowhere) Commit() error { return nil }

// Rollback has nothing to take back.
func (n nowhere) Rollback() error { return nil }

// Close closes nothing.
func (n nowhere) Close() error { return nil }

// NumInput does not count.
func (n nowhere) NumInput() int { return -1 }

// Exec does nothing.
func (n nowhere) Exec([]driver.Value) (driver.Result, error) { return driver.RowsAffected(0), nil }

// Query finds nothing; nobody asks it.
func (n nowhere) Query([]driver.Value) (driver.Rows, error) { return nil, driver.ErrSkip }
