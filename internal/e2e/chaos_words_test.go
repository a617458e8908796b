package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/internal/e2e/shop"
)

// small is a shop between two files, as fast as a move can be, with the move's folder on a disk of its own.
func small(t *testing.T) (*live, *move, *disk) {
	t.Helper()
	l := newLive(t, "sqlite", "sqlite", shop.Options{Seed: seed(t), Accounts: 20, Sessions: 1})
	d := newDisk(t, 16)
	return l, newMove(t, plan{source: l.source, target: l.target, uptime: l.shop.Uptime(), dir: d.path}), d
}

// asked waits until a running process, which follows the source, asks a question.
func (m *move) asked(p *process, question string) {
	m.t.Helper()
	for limit := time.Now().Add(2 * time.Minute); ; {
		if strings.Contains(p.said.String(), "started step=replay") { // before, status would look at what the last one left
			if s, ok := m.status(); ok && s.Step == question {
				return
			}
		}
		if time.Now().After(limit) {
			m.t.Fatalf("%s was never asked:\n%s", question, tail(p.said.String()))
		}
		<-time.After(10 * time.Millisecond)
	}
}

// A full disk of the state ends the program with one sentence that says what to do, at its first word and in the middle; with
// room the same command goes on.
func TestChaosWordsOfAFullDisk(t *testing.T) {
	l, m, d := small(t)
	if !d.own() {
		t.Fatal("no disk can be mounted here: run this as root")
	}
	for range 2 {
		d.fill(t)
		e := m.must(1, "run", "--yes")
		first, _, _ := strings.Cut(e.said[strings.Index(e.said, "whimbrel: "):], "\n")
		if !strings.Contains(first, "room on the disk of "+d.path) || !strings.Contains(first, "goes on") {
			t.Errorf("the program said %q", first)
		}
		d.free(t)
		if e := m.finish(m.start("done:load-uptime", "run", "--yes")); !e.killed && e.code != 0 {
			t.Fatalf("with room the program ended with %d:\n%s", e.code, tail(e.said))
		}
	}
	m.must(0, "run", "--yes")
	l.equal()
}

// A process that has frozen holds its folder, and the next one says which it is.
func TestChaosWordsOfAFrozenProcess(t *testing.T) {
	l, m, _ := small(t)
	m.until("confirm-downtime")
	p := m.start("", "run", "--wait")
	m.asked(p, "confirm-downtime")
	if err := p.sleep(); err != nil {
		t.Fatal(err)
	}
	e := m.must(1, "run", "--yes")
	if !strings.Contains(e.said, "another whimbrel, process ") {
		t.Errorf("the program said %q", e.said)
	}
	if err := p.wake(); err != nil {
		t.Fatal(err)
	}
	m.must(0, "answer", "confirm-downtime", "yes")
	m.asked(p, "confirm-open")
	m.must(0, "answer", "confirm-open", "yes")
	if e := m.finish(p); e.code != 0 {
		t.Errorf("the frozen process ended with %d:\n%s", e.code, tail(e.said))
	}
	l.equal()
}
