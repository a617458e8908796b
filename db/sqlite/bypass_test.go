package sqlite

import (
	"slices"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
)

// TestABlobThatIsWrittenInPlaceNeedsConsent: no trigger sees such a write (HAZARDS 15).
func TestABlobThatIsWrittenInPlaceNeedsConsent(t *testing.T) {
	s := openAt(t, newFile(t, "CREATE TABLE b (id INTEGER NOT NULL PRIMARY KEY, v BLOB); CREATE TABLE plain (id INTEGER NOT NULL PRIMARY KEY, v TEXT)"), driver.Source)
	found, err := s.Inspector.Inspect(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range found.Tables {
		all, err := s.Capturer.Gaps(t.Context(), table, shapeOf(table))
		if err != nil {
			t.Fatal(err)
		}
		told := slices.ContainsFunc(all, func(n driver.Notice) bool { return n.Rule == "blob-write" && n.Level == driver.Lossy })
		if told != (table.Name.Name == "b") {
			t.Errorf("%s: %+v", table.Name, all)
		}
	}
}
