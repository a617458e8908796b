package move

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/internal/procedure"
)

// The replay of a table that was drained has ended. When the drain is repeated in the same process, whoever needs the replay waits for the
// one that is begun anew: the one that has ended says that its time is over, and verify-uptime would take that for its own end.
func TestAReplayThatHasEndedIsHandedToNobody(t *testing.T) {
	s := newShop(t, DowntimeOptimized().Name)
	m := s.open(t)
	s.until(t, m, "accept-findings", "confirm-downtime", "confirm-open")
	soon, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if running, err := m.following(soon, tableNamed(m, people)); err == nil {
		t.Errorf("handed out is a replay that has ended: %v", running.CaughtUp(soon))
	}
	if outcome, err := m.Repeat(t.Context(), "drain", procedure.Stop); outcome != procedure.Waiting || err != nil {
		t.Errorf("repeated: %s, %v", outcome, err)
	}
}

// A source may answer no more and keep its connections. A run that is told to end does not wait for it.
func TestARunEndsThoughTheSourceIsSilent(t *testing.T) {
	s := newShop(t, DowntimeOptimized().Name)
	m := s.open(t)
	s.until(t, m, "accept-findings")
	if err := m.Answer(t.Context(), "accept-findings", procedure.Yes); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	late := make(chan struct{})
	defer time.AfterFunc(10*time.Second, func() { close(late) }).Stop()
	waited := false
	s.source.Turn = func(ctx context.Context, c memory.Call) error {
		if c.Op != "Recorder.Backlog" {
			return nil
		}
		interrupt()
		select {
		case <-ctx.Done():
		case <-late:
			waited = true
		}
		return context.Cause(ctx)
	}
	if outcome, err := m.Run(ctx, procedure.Wait); outcome != procedure.Interrupted || waited {
		t.Errorf("%s, %v; the source was waited for: %t", outcome, err, waited)
	}
}

// A table that can not have its keys is shown as stopped at once, and not when the last of the others is loaded, hours later.
func TestATableWithoutItsKeysIsStoppedAtOnce(t *testing.T) {
	s := newShop(t, DowntimeOptimized().Name)
	s.config.Listed = append(s.config.Listed, Listed{Name: "notes", Place: "uptime.txt:2"})
	m := s.open(t)
	s.until(t, m, "accept-findings")
	if err := m.Answer(t.Context(), "accept-findings", procedure.Yes); err != nil {
		t.Fatal(err)
	}
	late, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s.target.Turn = func(_ context.Context, c memory.Call) error {
		switch {
		case c.Op == "Applier.Part" && c.About == people.Name:
			return memory.Fail(driver.Full, "no room")
		case c.Op == "Load.Commit" && !c.Done && strings.HasPrefix(c.About, fmt.Sprintf("%d/", tableNamed(m, notes).target.Number)):
			_ = m.until(late, tableNamed(m, people), Proven)
		}
		return nil
	}
	outcome, err := m.Run(t.Context(), procedure.Stop)
	if outcome != procedure.Failure || err == nil || !strings.Contains(err.Error(), "no room") || late.Err() != nil {
		t.Errorf("%s, %v; told of it in time: %v", outcome, err, late.Err())
	}
}

// The next process says of a table whose capture was taken off that it is stopped before it has loaded what is left, for hours perhaps.
func TestATableThatWasGivenUpIsStoppedAtOnce(t *testing.T) {
	s := newShop(t, DowntimeOptimized().Name)
	first := s.open(t)
	s.until(t, first, "accept-findings", "confirm-downtime")
	for _, step := range []string{"load-uptime", "build-indexes"} {
		if _, err := first.state.Append(t.Context(), procedure.Entry{Step: step, Event: procedure.Started}); err != nil {
			t.Fatal(err)
		}
	}
	err := first.remark(t.Context(), tableNamed(first, people), func(seen *mark) { seen.Lost = "it grew" })
	if err := errors.Join(err, first.Close(), first.state.Close()); err != nil {
		t.Fatal(err)
	}
	m := s.open(t)
	late, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s.target.Fault = func(op string) error {
		if op == "before Ledger.Ranges" || op == "before Many.RangesAll" {
			_ = m.until(late, tableNamed(m, people), Following)
		}
		return nil
	}
	outcome, err := m.Run(t.Context(), procedure.Stop)
	if outcome != procedure.Failure || err == nil || !strings.Contains(err.Error(), "it grew") || late.Err() != nil {
		t.Errorf("%s, %v; told of it in time: %v", outcome, err, late.Err())
	}
}
