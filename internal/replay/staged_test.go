package replay_test

import (
	"context"
	"strconv"
	"sync"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/replay"
)

// stager counts the batches that are staged while another one is applied.
type stager struct {
	driver.Stager
	mu    sync.Mutex
	ahead int
}

func (s *stager) Stage(ctx context.Context, d driver.Delta, quick bool) (driver.Staged, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if quick {
		s.ahead++
	}
	return s.Stager.Stage(ctx, d, quick)
}

// A batch is staged while the one before it is applied, but not one behind which every key is to be read first: its session would
// wait for as long as that takes, with a transaction open, until the server ends it.
func TestABatchOfATableThatWasEmptiedIsNotStagedAhead(t *testing.T) {
	for emptied, want := range map[bool]int{false: 1, true: 0} {
		t.Run("emptied: "+strconv.FormatBool(emptied), func(t *testing.T) {
			h, p := quiet(t)
			s := &stager{Stager: p.to.Database.Stager}
			p.to.Database.Stager = s
			write := func(from int) {
				x := h.source.Begin()
				for i := range 5 {
					must(x.Insert(h.table.Name, []byte(strconv.Itoa(from+i)), nil, []byte("note")))
				}
				must(x.Commit())
			}
			write(0)
			if emptied {
				x := h.source.Begin()
				must(x.Truncate(h.table.Name))
				must(x.Commit())
			}
			write(10)
			lane := replay.NewLane(p.from, p.to, p.epoch)
			lane.Most = func() int { return 5 }
			for n := 0; ; n++ {
				done, err := lane.Step(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if done.Empty() {
					break
				}
			}
			if damage := h.damage(t.Context()); damage != "" {
				t.Error(damage)
			}
			if emptied && s.ahead != want || s.ahead < want {
				t.Errorf("%d batches were staged ahead, not %d", s.ahead, want)
			}
		})
	}
}
