package move

import (
	"errors"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/procedure"
)

// A process takes over only where the target's epoch is one that this state can know of: a later one is another state's, which goes on with
// the same move, and an earlier one is a target that was set back. What is refused changes neither side.
func TestWhoMayTakeOver(t *testing.T) {
	for name, c := range map[string]struct {
		known  epochs // what the state has
		now    int64  // the target's
		beside bool   // another process takes over at the same moment
		epoch  int64  // what is had; 0 where it is refused
		why    error
	}{
		"the next of our own":                       {known: epochs{3, 3}, now: 3, epoch: 4},
		"one whose answer was lost":                 {known: epochs{Tried: 3, Had: 2}, now: 3, epoch: 4},
		"one that never arrived":                    {known: epochs{Tried: 3, Had: 2}, now: 2, epoch: 3},
		"a copy of the state has gone on":           {known: epochs{2, 2}, now: 3, why: ErrOtherState},
		"a copy of the state goes on at the moment": {known: epochs{2, 2}, now: 2, beside: true, why: ErrOtherState},
		"the target was set back":                   {known: epochs{3, 3}, now: 2, why: errSetBack},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t, DowntimeOptimized().Name)
			m := s.open(t)
			if outcome, err := m.Run(t.Context(), procedure.Stop); outcome != procedure.Waiting {
				t.Fatalf("%s, %v", outcome, err)
			}
			_, target, err := m.both(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			run, err := m.state.Run(t.Context())
			if err == nil {
				err = target.Ledger.Prepare(t.Context(), run)
			}
			for n := int64(0); n < c.now && err == nil; n++ {
				_, err = target.Ledger.TakeOver(t.Context())
			}
			if err == nil {
				err = m.state.SetDocument(t.Context(), epochsKey, c.known)
			}
			if err != nil {
				t.Fatal(err)
			}
			other := false
			s.target.Fault = func(op string) error {
				if op == "before Ledger.TakeOver" && c.beside && !other {
					other = true
					_, err := target.Ledger.TakeOver(t.Context())
					return err
				}
				return nil
			}
			epoch, err := m.nextEpoch(t.Context(), target)
			if epoch != c.epoch || !errors.Is(err, c.why) {
				t.Errorf("epoch %d, %v", epoch, err)
			}
			now, err := target.Ledger.Epoch(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if want := max(c.epoch, c.now); !c.beside && now != want {
				t.Errorf("the target's epoch is %d, not %d", now, want)
			}
		})
	}
}

// A process that has slept while its successor brought the move to its end finds the target without guards and the source without
// triggers. It puts none up: the target is the application's, and would refuse it.
func TestWhoHasSleptShutsNothing(t *testing.T) {
	for name, ended := range map[string]func(*driver.Database) error{
		"another has taken over": func(target *driver.Database) error { _, err := target.Ledger.TakeOver(t.Context()); return err },
		"the move has ended":     func(target *driver.Database) error { return target.Ledger.Drop(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t, DowntimeOptimized().Name)
			m := s.open(t)
			s.until(t, m, "accept-findings", "confirm-downtime")
			source, target, err := m.both(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			at := of(m.tables(), Uptime)[0]
			open := func() string {
				stands, err := target.Guard.Stands(t.Context(), at.target)
				if err != nil {
					t.Fatal(err)
				}
				return stands
			}
			err = errors.Join(target.Guard.Open(t.Context(), at.target), source.Capturer.Remove(t.Context(), at.source, m.wait()))
			if err == nil && open() == "" {
				err = m.keepGuard(t.Context(), at) // it may while the move is its own
			}
			if err != nil || open() == "" {
				t.Fatalf("the guard is not put up again: %v", err)
			}
			if err := errors.Join(target.Guard.Open(t.Context(), at.target), ended(target)); err != nil {
				t.Fatal(err)
			}
			for what, do := range map[string]func() error{
				"keepGuard":  func() error { return m.keepGuard(t.Context(), at) },
				"guardAgain": func() error { return m.guardAgain(t.Context(), at) },
				"shutTables": func() error { return m.shutTables(t.Context(), target, m.tables()) },
				"captureOne": func() error { return m.captureOne(t.Context(), source, at) },
			} {
				if err := do(); err == nil {
					t.Errorf("%s is done", what)
				}
			}
			if stands := open(); stands != "" {
				t.Errorf("a guard stands: %s", stands)
			}
		})
	}
}
