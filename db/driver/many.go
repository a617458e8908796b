package driver

import (
	"context"

	"github.com/whimbrel/whimbrel/schema"
)

// Many does for many tables in one transaction what other roles do for one table in one, so that ten thousand small tables do
// not cost ten thousand waits for the disk at every step. nil where the product gains nothing by it: then the other roles are
// asked table by table, with the same outcome. What fails for one table fails for all that were named with it; the caller then
// asks the other roles, whose error names the table.
type Many interface {
	// ExecuteAll is Executor.Execute for statements that may share a transaction, in their order. Again: runs them again; as
	// soon as one of them fails, with Classify's Exists perhaps, none of them has happened.
	ExecuteAll(ctx context.Context, statements []Statement) error
	// ShutAll and OpenAll are Guard's Shut and Open. Again: does nothing.
	ShutAll(ctx context.Context, tables []*schema.Table, epoch int64) error
	OpenAll(ctx context.Context, tables []*schema.Table) error
	// Fingerprints are the Watcher's, in the order of the tables.
	Fingerprints(ctx context.Context, tables []*schema.Table) ([]string, error)
	// RangesAll is Ledger.Ranges, by the tables' numbers; a table without a loaded range may be missing.
	RangesAll(ctx context.Context, tables []*schema.Table) (map[int]map[int]int64, error)
}
