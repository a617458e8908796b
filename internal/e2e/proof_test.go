package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/internal/e2e/shop"
)

// TestTurn turns a move that is under way into the standard procedure, at each question before the downtime.
func TestTurn(t *testing.T) {
	for _, question := range []string{"accept-findings", "confirm-downtime"} {
		t.Run(question, func(t *testing.T) {
			l := newLive(t, "mariadb", "postgres", shop.Options{Seed: seed(t), Accounts: 100, Sessions: 2, Pause: 5 * time.Millisecond})
			m := newMove(t, plan{source: l.source, target: l.target, uptime: l.shop.Uptime()})
			l.open()
			m.until(question)
			m.must(0, "answer", question, "standard")
			m.must(0, "run", "--yes")
			l.refused()
			l.moved(m, nil)
			if r := m.report(); r.Procedure != "standard" {
				t.Errorf("the procedure is %q", r.Procedure)
			}
		})
	}
}

// TestProofStopsDamage damages one row of the target, past its guard, between the load and the proof: the target must not
// open with it, and the report must name the key.
func TestProofStopsDamage(t *testing.T) {
	l := newLive(t, "mariadb", "postgres", shop.Options{Seed: seed(t), Accounts: 100, Sessions: 2, Pause: 5 * time.Millisecond})
	m := newMove(t, plan{source: l.source, target: l.target, uptime: l.shop.Uptime()})
	l.open()
	if e := m.finish(m.start("begin:verify-downtime", "run", "--yes")); !e.killed {
		t.Fatalf("the program ended with %d:\n%s", e.code, tail(e.said))
	}
	target := open(t, l.target)
	if err := target.Script("UPDATE setting SET value = 'damaged' WHERE key = 'k1';\n"); err == nil {
		t.Error("the target could be written to while it was shut")
	}
	damage := "ALTER TABLE setting DISABLE TRIGGER USER;\nINSERT INTO setting (key, value) VALUES ('k999', 'from nowhere');\n"
	if err := target.Script(damage); err != nil {
		t.Fatal(err)
	}
	if e := m.do("run", "--yes"); e.code == 0 {
		t.Fatalf("the target was opened with a row that the source has not got:\n%s", tail(e.out))
	}
	if m.marks() != "stop" {
		t.Errorf("the application's commands ran as %q", m.marks())
	}
	for _, x := range m.report().Tables {
		damaged := x.Name[strings.LastIndexByte(x.Name, '.')+1:] == "setting"
		if damaged != (x.Verdict == "different") {
			t.Errorf("%s is %q", x.Name, x.Verdict)
		}
		if damaged && !slices.ContainsFunc(x.Keys, func(k string) bool { return strings.Contains(k, "k999") }) {
			t.Errorf("the report names the keys %q", x.Keys)
		}
	}
	m.must(0, "reset", "--yes")
	l.writesAgain()
}
