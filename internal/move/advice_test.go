package move

import (
	"strings"
	"sync"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/internal/procedure"
)

// firsts is a fault that meets each operation once: its session is lost.
type firsts struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (f *firsts) fault(op string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen[op] || !strings.HasPrefix(op, "before ") {
		return nil
	}
	f.seen[op] = true
	return memory.Fail(driver.Lost, "connection reset")
}

// A connection that breaks at any operation, once at each, is waited out: no step fails.
func TestABrokenConnectionFailsNoStep(t *testing.T) {
	for _, procedureName := range []string{DowntimeOptimized().Name, Standard().Name} {
		s := newShop(t, procedureName)
		source, target := &firsts{seen: map[string]bool{}}, &firsts{seen: map[string]bool{}}
		s.source.Fault, s.target.Fault = source.fault, target.fault
		m := s.open(t)
		if outcome, err := m.Run(t.Context(), procedure.GoOn); outcome != procedure.Finished || err != nil {
			t.Fatalf("%s: %s, %v", procedureName, outcome, err)
		}
		if len(source.seen) < 10 || len(target.seen) < 10 {
			t.Errorf("%s: only %d and %d operations broke", procedureName, len(source.seen), len(target.seen))
		}
		s.same(t)
	}
}

// What forbade the move when it was looked at is looked at again by the next process: it may have been mended.
func TestWhatForbidsTheMoveIsLookedAtAgain(t *testing.T) {
	s := newShop(t, DowntimeOptimized().Name)
	s.source.Fault = func(op string) error {
		if op == "before Surveyor.Survey" {
			return memory.Fail(driver.Refused, "no right to read")
		}
		return nil
	}
	life := func(want procedure.Outcome) {
		t.Helper()
		t.Run(string(want), func(t *testing.T) {
			m := s.open(t)
			outcome, err := m.Run(t.Context(), procedure.GoOn)
			if outcome != want {
				t.Fatalf("%s, %v", outcome, err)
			}
		})
	}
	life(procedure.Failure)
	life(procedure.Failure)
	s.source.Fault = nil
	life(procedure.Finished)
	s.same(t)
}

// A fingerprint that can not be taken because a connection broke says nothing about the table.
func TestALostFingerprintStopsNoTable(t *testing.T) {
	s := newShop(t, DowntimeOptimized().Name)
	m := s.open(t)
	if outcome, err := m.Run(t.Context(), procedure.Stop); outcome != procedure.Waiting {
		t.Fatalf("%s, %v", outcome, err)
	}
	m.board.change("main.people", func(p *progress) { p.stage = Following })
	if _, _, err := m.both(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, class := range []driver.Class{driver.Lost, driver.Transient} {
		s.source.Fault = func(op string) error {
			if strings.HasSuffix(op, "Fingerprint") {
				return memory.Fail(class, op)
			}
			return nil
		}
		m.look(t.Context())
		if p, _ := m.board.of("main.people"); p.stage != Following {
			t.Errorf("the table is %s: %v", p.stage, p.err)
		}
	}
	s.source.Fault = func(op string) error {
		if strings.HasSuffix(op, "Fingerprint") {
			return memory.Fail(driver.Refused, op)
		}
		return nil
	}
	m.look(t.Context())
	if p, _ := m.board.of("main.people"); p.stage != Stopped {
		t.Errorf("the table is %s after an error that does not pass", p.stage)
	}
}
