package move

import (
	"fmt"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/procedure"
	"github.com/whimbrel/whimbrel/schema"
)

// Hours may lie between the comparison and the answer that opens the target: who takes a guard off then is seen too.
func TestAGuardThatWasTakenOffBeforeTheAnswerIsSeen(t *testing.T) {
	for _, name := range []schema.Name{people, notes} {
		for _, back := range []bool{true, false} {
			t.Run(fmt.Sprint(name, back), func(t *testing.T) {
				s := newShop(t, DowntimeOptimized().Name)
				m := s.open(t)
				s.until(t, m, "accept-findings", "confirm-downtime")
				if err := m.Answer(t.Context(), "confirm-downtime", procedure.Yes); err != nil {
					t.Fatal(err)
				}
				s.until(t, m, "confirm-open")
				target, table := s.target.Open(driver.Target), tableNamed(m, name)
				if err := target.Guard.Open(t.Context(), table.target); err != nil {
					t.Fatal(err)
				}
				rogue(t, s.target, table.target.Name)
				if back {
					if err := target.Guard.Shut(t.Context(), table.target, m.sides.epoch); err != nil {
						t.Fatal(err)
					}
				}
				if err := m.Answer(t.Context(), "confirm-open", procedure.Yes); err == nil || !strings.Contains(err.Error(), "guard taken off") {
					t.Fatalf("the answer is taken: %v", err)
				}
				for range 2 { // the first finds the guard gone, and puts it up
					if _, err := m.Repair(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				s.same(t)
				if err := m.Answer(t.Context(), "confirm-open", procedure.Yes); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
