package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
)

// TestAGuardWithoutOneOfItsTriggersDoesNotStand: who takes one off can write that way, and the table has to be guarded again.
func TestAGuardWithoutOneOfItsTriggersDoesNotStand(t *testing.T) {
	path := filepath.Join(t.TempDir(), "target.db")
	db := openAt(t, path, driver.Target)
	defer db.Close()
	epoch := epochOf(t, db)
	app := connectApp(t, path)
	defer app.Close()
	app.must(t, "CREATE TABLE t (id INTEGER PRIMARY KEY)")
	table, _ := shaped(t, db, "t", 1)
	for _, event := range events {
		for _, whole := range []bool{true, false} {
			if err := db.Guard.Shut(t.Context(), table, epoch); err != nil {
				t.Fatal(err)
			}
			if !whole {
				app.must(t, "DROP TRIGGER "+triggerName("guard_"+event, table))
			}
			if stands, err := db.Guard.Stands(t.Context(), table); err != nil || (stands != "") != whole {
				t.Errorf("with its trigger for %s %t: %q, %v", event, whole, stands, err)
			}
		}
	}
}
