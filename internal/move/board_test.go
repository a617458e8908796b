package move

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/internal/procedure"
)

// A process may end when the keys are built and before it is noted that the rows are in. The next one finds nothing to load at a table that
// it follows already, which must not look as if it were followed no more: the proof and the drain wait for tables that are followed.
func TestWhatIsLoadedAgainIsFollowedStill(t *testing.T) {
	s := newShop(t, DowntimeOptimized().Name)
	first := s.open(t)
	s.until(t, first, "accept-findings", "confirm-downtime")
	if err := first.Answer(t.Context(), "confirm-downtime", procedure.Yes); err != nil {
		t.Fatal(err)
	}
	if _, err := first.state.Append(t.Context(), procedure.Entry{Step: "load-uptime", Event: procedure.Started}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(first.Close(), first.state.Close()); err != nil {
		t.Fatal(err)
	}
	m := s.open(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	asked := 0
	s.target.Fault = func(op string) error {
		if op == "before Ledger.Ranges" || op == "before Many.RangesAll" {
			asked++
			return m.until(ctx, tableNamed(m, people), Following)
		}
		return nil
	}
	if outcome, err := m.Run(ctx, procedure.Stop); outcome != procedure.Waiting {
		t.Fatalf("%s, %v", outcome, err)
	}
	if at, _ := m.engine.Position().Question(); at.Step.Name != "confirm-open" || asked == 0 {
		t.Errorf("the move stands at %s; the ledger was asked %d times", at.Step.Name, asked)
	}
}

// What stopped a table may be gone when the command is given again, in the same process too.
func TestAStoppedTableIsFollowedAgain(t *testing.T) {
	s := newShop(t, DowntimeOptimized().Name)
	m := s.open(t)
	s.until(t, m, "accept-findings", "confirm-downtime")
	m.board.stop(people.String(), errors.New("there was no room"))
	if err := m.Answer(t.Context(), "confirm-downtime", procedure.Yes); err != nil {
		t.Fatal(err)
	}
	if outcome, err := m.Run(t.Context(), procedure.Stop); outcome != procedure.Waiting {
		t.Errorf("%s, %v", outcome, err)
	}
}

// That a table was stopped is not kept. The next process looks at each before it stops the application: a downtime that can not come to
// its end must not begin.
func TestTheApplicationIsNotStoppedForATableThatWasAltered(t *testing.T) {
	s := newShop(t, DowntimeOptimized().Name)
	first := s.open(t)
	s.until(t, first, "accept-findings", "confirm-downtime")
	err := first.Answer(t.Context(), "confirm-downtime", procedure.Yes)
	if err := errors.Join(err, first.Close(), first.state.Close()); err != nil {
		t.Fatal(err)
	}
	m := s.open(t)
	source, err := m.source(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	source.Watcher = altered{source.Watcher}
	outcome, err := m.Run(t.Context(), procedure.Stop)
	if at, _ := m.engine.Position().At("stop-application"); outcome != procedure.Failure || err == nil || !strings.Contains(err.Error(), "step confirm-downtime: ") ||
		!strings.Contains(err.Error(), "was altered during the move") || at.State != procedure.NotBegun {
		t.Errorf("%s, %v; stop-application: %s", outcome, err, at.State)
	}
}
