package move

import (
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/procedure"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// newFamily is a shop whose notes each have a row of people as their parent.
func newFamily(t *testing.T) *shop {
	t.Helper()
	s := newShop(t, Standard().Name)
	source := s.source.Open(driver.Source)
	add, _ := source.Dialect.CreateConstraints(&schema.Table{Name: notes, Foreign: []*schema.ForeignKey{{
		Name: "notes_people", Columns: []string{"id"}, Parent: people, ParentCols: []string{"id"},
	}}})
	for _, statement := range add {
		if err := source.Executor.Execute(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// orphan takes a parent away as somebody who has switched foreign keys off.
func (s *shop) orphan(t *testing.T) {
	t.Helper()
	x := s.source.BeginSilent()
	if err := x.Delete(people, row.MakeKey([]byte("7"))); err != nil {
		t.Fatal(err)
	}
	if err := x.Commit(); err != nil {
		t.Fatal(err)
	}
}

// Rows without their parent at the source forbid the move before anything starts; those that came after that look are found at the
// target, before it opens.
func TestRowsWithoutTheirParentStopTheMove(t *testing.T) {
	t.Run("before the check", func(t *testing.T) {
		s := newFamily(t)
		s.orphan(t)
		m := s.open(t)
		outcome, err := m.Run(t.Context(), procedure.Stop)
		if outcome != procedure.Failure || err == nil || !strings.Contains(err.Error(), "notes_people") {
			t.Errorf("%s, %v", outcome, err)
		}
	})
	t.Run("after it", func(t *testing.T) {
		s := newFamily(t)
		m := s.open(t)
		s.until(t, m, "accept-findings", "confirm-downtime")
		s.orphan(t)
		if err := m.Answer(t.Context(), "confirm-downtime", procedure.Yes); err != nil {
			t.Fatal(err)
		}
		s.stays(t, m, "add-constraints", "have no parent in main.people")
	})
	t.Run("not at all", func(t *testing.T) {
		s := newFamily(t)
		m := s.open(t)
		s.until(t, m, "accept-findings", "confirm-downtime", "confirm-open")
		s.same(t)
	})
}
