package move

import (
	"context"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/internal/procedure"
)

// A process that has slept while another took the move over changes nothing any more: it stops no application, shuts no source,
// opens no target, whatever step it was at.
func TestAProcessThatSleptTouchesNothing(t *testing.T) {
	s := newShop(t, DowntimeOptimized().Name)
	m := s.open(t)
	reached := map[string]bool{}
	for range 3 { // up to the last question
		outcome, err := m.Run(t.Context(), procedure.Stop)
		if outcome != procedure.Waiting {
			t.Fatalf("%s, %v", outcome, err)
		}
		at, _ := m.engine.Position().Question()
		reached[at.Step.Name] = true
		if at.Step.Name == "confirm-open" {
			break
		}
		if err := m.Answer(t.Context(), at.Step.Name, procedure.Yes); err != nil {
			t.Fatal(err)
		}
	}
	if !reached["confirm-open"] {
		t.Fatalf("the last question was not reached: %v", reached)
	}
	if err := m.Answer(t.Context(), "confirm-open", procedure.Yes); err != nil {
		t.Fatal(err)
	}
	other := s.target.Open(driver.Target)
	if _, err := other.Ledger.TakeOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, step := range map[string]func(context.Context) error{
		"stop-application": m.stopApplication, "shut-source": m.shutSource, "set-sequences": m.setSequences,
		"add-constraints": m.addConstraints, "open-target": m.openTarget, "start-application": m.startApplication,
	} {
		if err := step(t.Context()); (memory.Dialect{}).Classify(err) != driver.Fenced {
			t.Errorf("%s: %v", name, err)
		}
	}
	x := s.target.Begin()
	defer x.Rollback()
	if err := x.Insert(notes, []byte("9999"), []byte("from outside")); (memory.Dialect{}).Classify(err) != driver.Refused {
		t.Errorf("the target is open: %v", err)
	}
}
