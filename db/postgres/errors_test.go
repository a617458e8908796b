package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel/whimbrel/db/driver"
)

// Two processes that make the same table at one moment meet in the catalog's own keys: the later one tries again and finds it made.
func TestTheCatalogsOwnKeysPass(t *testing.T) {
	for schema, want := range map[string]driver.Class{"pg_catalog": driver.Transient, "public": driver.Conflict} {
		if got := classify(&pgconn.PgError{Code: "23505", SchemaName: schema, TableName: "pg_type"}); got != want {
			t.Errorf("%s: %v", schema, got)
		}
	}
}
