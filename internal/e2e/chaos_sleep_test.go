package e2e

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/internal/e2e/shop"
)

// TestChaosSleep stops the program in the middle of replay, with its sessions and transactions open on both sides, for CHAOS_SLEEP
// (10s; with 17m longer than every time-out that it sets for its sessions). The application must go on writing meanwhile. Then the
// program goes on, and the same command as often as it fails; the end is equal.
func TestChaosSleep(t *testing.T) {
	for _, pair := range []killPair{{"mariadb", "postgres"}, {"postgres", "mariadb"}} {
		t.Run(pair.String(), func(t *testing.T) {
			t.Parallel()
			l := newLive(t, pair.source, pair.target, shop.Options{Seed: seed(t), Accounts: 60, Sessions: 2, Pause: 30 * time.Millisecond})
			m := newMove(t, plan{source: l.source, target: l.target, uptime: l.shop.Uptime(), extra: levels})
			l.open()
			m.until("confirm-downtime")
			p := m.start("", "run", "--wait")
			m.asked(p, "confirm-downtime")
			if err := p.sleep(); err != nil {
				t.Fatal(err)
			}
			first := l.events()
			<-time.After(length(t, "CHAOS_SLEEP", 10*time.Second))
			if now := l.events(); now <= first {
				t.Errorf("the application made no event while the program slept: number %d, then %d", first, now)
			}
			if err := p.wake(); err != nil {
				t.Fatal(err)
			}
			m.must(0, "answer", "confirm-downtime", "yes")
			m.answerAndEnd(p)
			l.refused()
			l.equal()
			l.leftovers()
		})
	}
}

// events is the largest number that the application has given an event.
func (l *live) events() int {
	l.t.Helper()
	text, err := open(l.t, l.source).Value("SELECT MAX(id) FROM event")
	if err != nil {
		l.t.Fatal(err)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		l.t.Fatal(err)
	}
	return n
}

// answerAndEnd lets a process that has slept go on to its end, whatever it is, and gives the command again until the move is done.
func (m *move) answerAndEnd(p *process) {
	m.t.Helper()
	ended := make(chan ending, 1)
	go func() { ended <- m.finish(p) }()
	for answered := false; ; {
		select {
		case e := <-ended:
			for try := 0; e.code != 0; try++ {
				if e.code != 1 || !strings.Contains(e.said, "goes on") || try == 5 {
					m.t.Fatalf("after the sleep a process ended with %d:\n%s", e.code, tail(e.said))
				}
				m.t.Logf("after the sleep a command failed:\n%s", tail(e.said))
				e = m.do("run", "--yes")
			}
			return
		case <-time.After(100 * time.Millisecond):
		}
		if s, ok := m.status(); ok && !answered && s.Step == "confirm-open" {
			answered = m.do("answer", "confirm-open", "yes").code == 0
		}
	}
}
