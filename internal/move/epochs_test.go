package move

import (
	"errors"
	"testing"

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
