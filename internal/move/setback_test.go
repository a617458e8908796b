package move

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/internal/procedure"
)

// setBack makes a move up to the question before the downtime, and sets the target back to what it was just before an operation was
// first asked of it. Nothing has changed since, so that no number of a batch can tell.
func setBack(t *testing.T, before string) (*shop, *Move) {
	t.Helper()
	s := newShop(t, DowntimeOptimized().Name)
	m := s.open(t)
	var once sync.Once
	var was *memory.Copy
	s.target.Fault = func(op string) error {
		if strings.HasPrefix(op, "before "+before) {
			once.Do(func() { was = s.target.Save() })
		}
		return nil
	}
	for {
		outcome, err := m.Run(t.Context(), procedure.Stop)
		if outcome != procedure.Waiting {
			t.Fatalf("%s, %v", outcome, err)
		}
		at, _ := m.engine.Position().Question()
		if err := m.Answer(t.Context(), at.Step.Name, procedure.Yes); err != nil {
			t.Fatal(err)
		}
		if at.Step.Name == "confirm-downtime" {
			break
		}
	}
	if was == nil {
		t.Fatalf("no %s was asked for", before)
	}
	s.target.Restore(was)
	return s, m
}

// A target that is set back to before its rows were loaded, while the process lives and nobody writes, is noticed at the drain.
func TestATargetWithoutItsRangesIsNotDrained(t *testing.T) {
	_, m := setBack(t, "Loader.Load")
	if outcome, err := m.Run(t.Context(), procedure.Stop); outcome != procedure.Failure || !errors.Is(err, errSetBack) {
		t.Errorf("%s, %v", outcome, err)
	}
}

// A target that is set back to after its rows were loaded and before its keys were built gets its keys at the drain: the comparison
// would not miss them.
func TestATargetWithoutItsKeysGetsThem(t *testing.T) {
	s, m := setBack(t, "Applier.Part")
	if outcome, err := m.Run(t.Context(), procedure.Stop); outcome != procedure.Waiting {
		t.Fatalf("%s, %v", outcome, err)
	}
	seen, err := s.target.Open(driver.Target).Inspector.Inspect(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tb := range seen.Tables {
		if tb.Primary == nil || len(tb.Uniques) != 1 {
			t.Errorf("%s has primary key %v and %d unique keys", tb.Name, tb.Primary, len(tb.Uniques))
		}
	}
}
