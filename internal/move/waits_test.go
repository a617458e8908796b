package move

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/schema"
)

// occupied is a gate that somebody keeps from being shut.
type occupied struct {
	driver.Gate
	wait func() error
}

func (o occupied) Shut(context.Context, []*schema.Table, driver.Wait) error { return o.wait() }

// heard is a log that can be waited for.
type heard struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case h.more <- struct{}{}:
	default:
	}
	return h.text.Write(p)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

// occupiedShop is a move before its downtime, with a session of the application that has a transaction open.
func occupiedShop(t *testing.T, wait func(*Move, *heard) error) (*Move, *heard, string) {
	t.Helper()
	s := newShop(t, DowntimeOptimized().Name)
	m := s.open(t)
	s.until(t, m, "accept-findings", "confirm-downtime")
	x := s.source.Begin()
	t.Cleanup(x.Rollback)
	if err := x.Insert(notes, []byte("9999"), []byte("late")); err != nil {
		t.Fatal(err)
	}
	source, err := m.source(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	writers, err := source.Gate.Writers(t.Context())
	if err != nil || len(writers) != 1 {
		t.Fatal(writers, err)
	}
	h := &heard{more: make(chan struct{}, 1)}
	m.log = slog.New(slog.NewTextHandler(h, nil))
	source.Gate = occupied{source.Gate, func() error { return wait(m, h) }}
	return m, h, fmt.Sprintf("session %s of application", writers[0].Session)
}

// While the source can not be shut the application stands still: the operator is told at once who is in the way.
func TestWhoIsInTheWayIsNamedMeanwhile(t *testing.T) {
	defer func(was time.Duration) { tellAfter = was }(tellAfter)
	tellAfter = time.Millisecond
	var told map[string]string
	m, h, who := occupiedShop(t, func(m *Move, h *heard) error {
		select {
		case <-h.more:
			status, err := m.Status(t.Context())
			told = status.Notes
			return err
		case <-time.After(30 * time.Second):
			return memory.Fail(driver.Refused, "nobody was named")
		}
	})
	if err := m.shutSource(t.Context()); err == nil || !strings.Contains(err.Error(), "is not shut") {
		t.Errorf("shut, though this gate does nothing: %v", err)
	}
	if said := h.String(); !strings.Contains(said, who) || !strings.Contains(said, "shut the source") {
		t.Errorf("it was said %q", said)
	}
	if text := told["shut the source"]; len(told) != 1 || !strings.Contains(text, who) {
		t.Errorf("the status noted %q", told)
	}
	if after := m.waits.notes(); after != nil {
		t.Errorf("the status notes still %q", after)
	}
}

// A call that has waited as long as it is to wait is not made again and again: the operator hears who is in the way, and decides.
func TestWhoWasWaitedForIsNotWaitedForAgain(t *testing.T) {
	defer func(was time.Duration) { long = was }(long)
	long = time.Millisecond
	calls := 0
	m, _, who := occupiedShop(t, func(*Move, *heard) error {
		calls++
		<-time.After(2 * long)
		return memory.Fail(driver.Transient, "still writing")
	})
	m.config.Wait.Settled = 2 * long
	err := m.shutSource(t.Context())
	if calls != 1 || err == nil || !strings.Contains(err.Error(), "in the way may be "+who) || (memory.Dialect{}).Classify(err) != driver.Transient {
		t.Errorf("after %d calls: %v", calls, err)
	}
	if m.passes(err, 2*long) {
		t.Error("the step is done again")
	}
	calls, m.config.Wait.Settled = 0, 300*time.Millisecond
	if err := m.shutSource(t.Context()); calls < 2 || calls > 11 || err == nil {
		t.Errorf("there was time left, and after %d calls: %v", calls, err)
	}
}

// listing is a gate that sees these sessions.
type listing struct {
	driver.Gate
	all []driver.Writer
}

func (l listing) Writers(context.Context) ([]driver.Writer, error) { return l.all, nil }

// Who has begun after the wait did is in nobody's way, and is not named to an operator who may end him. Where an age is not known somebody may be.
func TestWhoCameLaterIsNotNamed(t *testing.T) {
	gate := listing{all: []driver.Writer{
		{Session: "1", User: "app", State: "idle"},
		{Session: "2", User: "app", Program: "pool", State: "active", Since: 3 * time.Second},
		{Session: "3", Since: -1},
		{Session: "4", User: "app", Program: "report", State: "active", Since: time.Hour},
		{Session: "5", User: "app", State: "idle in transaction", Since: 20 * time.Second},
	}}
	got, err := others(t.Context(), &driver.Database{Gate: gate}, 20*time.Second)
	if want := "session 4 of app (report, active, for 1h0m0s), session 5 of app (idle in transaction, for 20s), session 3"; err != nil || got != want {
		t.Errorf("%q, %v, not %q", got, err, want)
	}
}

// A target that can not be taken over yet, because an earlier process sleeps with its lock perhaps, is told of at each attempt.
func TestATargetThatIsHeldIsToldOf(t *testing.T) {
	s := newShop(t, DowntimeOptimized().Name)
	m := s.open(t)
	h := &heard{more: make(chan struct{}, 1)}
	m.log = slog.New(slog.NewTextHandler(h, nil))
	tries := 0
	var told map[string]string
	s.target.Fault = func(op string) error {
		if op != "before Ledger.TakeOver" {
			return nil
		}
		if tries++; tries == 3 {
			told = m.waits.notes()
			return nil
		}
		return memory.Fail(driver.Transient, "held by process 7")
	}
	s.until(t, m, "accept-findings", "confirm-downtime")
	if said := h.String(); strings.Count(said, "could not be taken over yet") != 2 || !strings.Contains(told["take over the target"], "held by process 7") {
		t.Errorf("told %q and said %q", told, said)
	}
	if after := m.waits.notes(); after != nil {
		t.Errorf("the status notes still %q", after)
	}
}
