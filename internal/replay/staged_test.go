package replay_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/replay"
	"github.com/whimbrel/whimbrel/row"
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
			h.insert(0, 5)
			if emptied {
				x := h.source.Begin()
				must(x.Truncate(h.table.Name))
				must(x.Commit())
			}
			h.insert(10, 5)
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

// oneSession stages for one batch at a time, as a server would that has but one session for us: whoever may wait for it waits.
type oneSession struct {
	driver.Stager
	free  chan struct{}
	taken func() // waits until the batch behind has been taken
}

func (s *oneSession) Stage(ctx context.Context, d driver.Delta, quick bool) (driver.Staged, error) {
	if quick {
		select {
		case s.free <- struct{}{}:
		default:
			return nil, nil //nolint:nilnil // none is free
		}
	} else {
		s.taken()
		select {
		case s.free <- struct{}{}:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	staged, err := s.Stager.Stage(ctx, d, quick)
	return &givesBack{Staged: staged, free: s.free}, err
}

// givesBack gives the session back once.
type givesBack struct {
	driver.Staged
	once sync.Once
	free chan struct{}
}

func (g *givesBack) Close() {
	g.Staged.Close()
	g.once.Do(func() { <-g.free })
}

// Where there is one session, the batch whose turn it is has it, though the one behind was ready earlier.
func TestABatchBehindLeavesTheOnlySession(t *testing.T) {
	h, p := quiet(t)
	h.insert(0, 10)
	receipts := &counted{Recorder: p.from.Database.Recorder}
	p.from.Database.Recorder = receipts
	both := func() {
		for begun := time.Now(); receipts.open.Load() < 2 && time.Since(begun) < 5*time.Second; time.Sleep(time.Millisecond) {
		}
		time.Sleep(10 * time.Millisecond) // what takes a session too early does so now; a step that does not is not judged by this
	}
	p.to.Database.Stager = &oneSession{Stager: p.to.Database.Stager, free: make(chan struct{}, 1), taken: both}
	lane := replay.NewLane(p.from, p.to, p.epoch)
	lane.Most = func() int { return 5 }
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	done, err := lane.Step(ctx)
	if err != nil || done.Entries != 10 {
		t.Errorf("%d entries: %v", done.Entries, err)
	}
	if damage := h.damage(t.Context()); damage != "" {
		t.Error(damage)
	}
}

// slow takes some time for each batch.
type slow struct {
	driver.Applier
	takes time.Duration
}

func (s *slow) Apply(ctx context.Context, d driver.Delta) error {
	time.Sleep(s.takes)
	return s.Applier.Apply(ctx, d)
}

// However slow the target is, the record is read from its beginning again after about two seconds: what became visible late, and what is
// missing at the target until the repair list is read, waits for no longer.
func TestAStepEndsAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, p := quiet(t)
		h.insert(0, 30)
		p.to.Database.Stager = nil
		p.to.Database.Applier = &slow{Applier: p.to.Database.Applier, takes: 900 * time.Millisecond}
		lane := replay.NewLane(p.from, p.to, p.epoch)
		lane.Most = func() int { return 1 }
		began := time.Now()
		done, err := lane.Step(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); done.Entries != 4 || !done.Full {
			t.Errorf("a step took %d batches, %v", done.Entries, took)
		}
	})
}

// fails refuses to forget one batch, once.
type fails struct {
	driver.Recorder
	at int64
}

type unforgotten struct {
	driver.Receipt
	f *fails
}

var errForget = errors.New("the line was cut")

func (f *fails) Take(ctx context.Context, want driver.Want, keys, images *row.Batch) (driver.Receipt, error) {
	if earlier, wrapped := want.Beyond.(*unforgotten); wrapped {
		want.Beyond = earlier.Receipt
	}
	r, err := f.Recorder.Take(ctx, want, keys, images)
	if err != nil {
		return nil, err
	}
	return &unforgotten{r, f}, nil
}

func (u *unforgotten) Forget(ctx context.Context, number int64) error {
	if number == u.f.at {
		u.f.at = 0
		return errForget
	}
	return u.Receipt.Forget(ctx, number)
}

// What a step has brought through before it ended with an error is counted: progress shows it.
func TestAStepThatFailsSaysWhatItDid(t *testing.T) {
	h, p := quiet(t)
	h.insert(0, 10)
	p.from.Database.Recorder = &fails{Recorder: p.from.Database.Recorder, at: 4}
	lane := replay.NewLane(p.from, p.to, p.epoch)
	lane.Most = func() int { return 2 }
	done, err := lane.Step(t.Context())
	if !errors.Is(err, errForget) || done.Entries != 6 || done.Rows != 6 {
		t.Errorf("%+v: %v", done, err)
	}
	all := done.Entries
	for done.Full = true; done.Full; all += done.Entries {
		if done, err = lane.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if all != 10 {
		t.Errorf("%d entries", all)
	}
}
