package e2e

import (
	"slices"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/internal/e2e/oracle"
	"github.com/whimbrel/whimbrel/internal/e2e/shop"
)

// TestResetLeavesNothing takes a move back twice: from the question before the downtime, with the application at work, and
// from the last moment before the target opens. Each product is a source once and a target once.
func TestResetLeavesNothing(t *testing.T) {
	for i, source := range products() {
		target := products()[(i+1)%3]
		t.Run(short(source)+"/"+short(target), func(t *testing.T) {
			l := newLive(t, source, target, shop.Options{Seed: seed(t), Accounts: 150, Sessions: 3, Pause: 5 * time.Millisecond})
			m := newMove(t, plan{source: l.source, target: l.target, uptime: l.shop.Uptime()})
			before := catalogs(t, l)
			l.open()
			m.until("confirm-downtime")
			if len(ours(t, l.source)) == 0 || len(ours(t, l.target)) == 0 {
				t.Error("nothing of ours is there before the reset: the test sees nothing")
			}
			m.must(0, "reset", "--yes")
			same(t, "after a reset in the uptime", before, catalogs(t, l))
			if m.marks() != "" {
				t.Errorf("the application's commands ran as %q", m.marks())
			}
			m.until("confirm-downtime")
			m.must(0, "answer", "confirm-downtime", "yes")
			if e := m.do("run"); e.code != 3 {
				t.Fatalf("run to the last question ended with %d:\n%s\n%s", e.code, tail(e.out), tail(e.said))
			}
			l.refused()
			if len(l.tally.Deeds) == 0 {
				t.Error("the application did nothing")
			}
			m.must(0, "reset", "--yes")
			m.must(0, "reset", "--yes") // again: does nothing
			same(t, "after a reset in the downtime", before, catalogs(t, l))
			if m.marks() != "stop start-source" {
				t.Errorf("the application's commands ran as %q", m.marks())
			}
			l.writesAgain()
		})
	}
}

// until runs the move and answers its questions, up to this one, which stays open.
func (m *move) until(question string) {
	m.t.Helper()
	for range 5 {
		e := m.must(3, "run")
		s, ok := m.status()
		if !ok {
			m.t.Fatalf("no status after %s", tail(e.said))
		}
		if s.Step == question {
			return
		}
		m.must(0, "answer", s.Step, "yes")
	}
	m.t.Fatalf("the move never asked %s", question)
}

// writesAgain lets the application work at its source for a moment, where the gate was.
func (l *live) writesAgain() {
	l.t.Helper()
	s, err := shop.Open(l.source, "", l.shop.Options)
	if err != nil {
		l.t.Fatal(err)
	}
	defer s.Close()
	if err := s.Write(l.t.Context()); err != nil {
		l.t.Errorf("at the source again: %v", err)
	}
	l.rules(s, open(l.t, l.source))
}

// catalogs lists everything in both databases.
func catalogs(t *testing.T, l *live) []string {
	t.Helper()
	var all []string
	for side, at := range map[string]string{"source ": l.source, "target ": l.target} {
		d, err := oracle.Open(at)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := d.Catalog()
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range lines {
			all = append(all, side+line)
		}
	}
	slices.Sort(all)
	return all
}

func same(t *testing.T, when string, before, after []string) {
	t.Helper()
	for _, line := range before {
		if !slices.Contains(after, line) {
			t.Errorf("%s there is no longer: %s", when, line)
		}
	}
	for _, line := range after {
		if !slices.Contains(before, line) {
			t.Errorf("%s there is: %s", when, line)
		}
	}
}
