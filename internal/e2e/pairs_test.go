package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/internal/e2e/oracle"
	"github.com/whimbrel/whimbrel/internal/e2e/shop"
)

// mebibytes is how much memory a process of the program may ever have resident.
const mebibytes = 512

// levels make some of the uptime tables be compared while they live, as the large ones of a real move are.
const levels = "verify: {levels: {order: full-uptime+changed, order_line: full-uptime+changed, \"Seat*\": full-uptime+changed, tag: full-uptime+changed}}\n"

// aliveLevel are the tables that levels names.
var aliveLevel = []string{"order", "order_line", "Seat Map", "tag"}

func TestPairs(t *testing.T) {
	for _, source := range products() {
		for _, target := range products() {
			t.Run(short(source)+"/"+short(target), func(t *testing.T) {
				l := newLive(t, source, target, shop.Options{Seed: seed(t), Accounts: 600, Sessions: 4, Pause: 3 * time.Millisecond})
				m := newMove(t, plan{source: l.source, target: l.target, uptime: l.shop.Uptime(), extra: levels})
				l.open()
				m.until("confirm-downtime")
				<-time.After(1500 * time.Millisecond) // the application goes on while nobody replays
				m.must(0, "run", "--yes")
				l.refused()
				l.moved(m, l.shop.Uptime())
			})
		}
	}
}

func TestStandard(t *testing.T) {
	l := newLive(t, "mariadb", "postgres", shop.Options{Seed: seed(t), Accounts: 300, Sessions: 3, Pause: 5 * time.Millisecond})
	m := newMove(t, plan{procedure: "standard", source: l.source, target: l.target})
	l.open()
	m.must(0, "run", "--yes")
	l.refused()
	l.moved(m, nil)
}

// short is a product's name in a test's name.
func short(product string) string {
	if product == "postgres" {
		return "pg"
	}
	return product
}

// live is an application at work on its source, and a target where it is to go.
type live struct {
	t              *testing.T
	source, target string
	shop           *shop.Shop
	began          time.Time
	cancel         context.CancelFunc
	ended          chan struct{}
	tally          shop.Tally // when ended
	wrong          error
}

func newLive(t *testing.T, source, target string, o shop.Options) *live {
	t.Helper()
	return liveAt(t, fresh(t, source), fresh(t, target), o)
}

// liveAt makes the shop in a database that is there.
func liveAt(t *testing.T, source, target string, o shop.Options) *live {
	t.Helper()
	l := &live{t: t, source: source, target: target}
	s, err := shop.Open(l.source, "", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.shop = s
	return l
}

// open lets the application begin.
func (l *live) open() {
	ctx, cancel := context.WithCancel(l.t.Context())
	l.began, l.cancel, l.ended = time.Now(), cancel, make(chan struct{})
	go func() {
		defer close(l.ended)
		l.tally, l.wrong = l.shop.Run(ctx)
	}()
	l.t.Cleanup(func() { cancel(); <-l.ended })
}

// refused waits until the gate has ended every session of the application, and fails if it was something else.
func (l *live) refused() {
	l.t.Helper()
	select {
	case <-l.ended:
	case <-time.After(time.Minute):
		l.t.Error("the application still writes")
		l.cancel()
		<-l.ended
	}
	if l.wrong != nil {
		l.t.Errorf("the application was disturbed: %v", l.wrong)
	}
	if l.tally.Refused.IsZero() || l.tally.Committed < 20 {
		l.t.Errorf("the application was not refused, or wrote too little: %+v", l.tally)
	}
}

// equal fails the test unless the judge finds the same rows on both sides, with the keys, indexes and foreign keys of the
// source at the target, and the application's rules kept.
func (l *live) equal() map[string]int64 {
	l.t.Helper()
	source, target := open(l.t, l.source), open(l.t, l.target)
	v, err := oracle.Compare(source, target)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, d := range v.Differences {
		l.t.Errorf("different: %s", d)
	}
	missing, err := source.Missing(target)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, s := range missing {
		l.t.Errorf("the target has no %s", s)
	}
	l.rules(l.shop, source)
	there := *l.shop
	there.Product = target.Product
	l.rules(&there, target)
	return v.Rows
}

func (l *live) rules(s *shop.Shop, d *oracle.Database) {
	l.t.Helper()
	for _, r := range s.Rules() {
		if n, err := d.Value(r.SQL); err != nil || n != "0" {
			l.t.Errorf("at %s: %q is broken %s times (%v)", d.Product, r.Name, n, err)
		}
	}
}

// moved holds a move that has ended against everything that must be true then.
func (l *live) moved(m *move, uptime []string) {
	l.t.Helper()
	rows := l.equal()
	r := m.report()
	l.checkReport(r, rows, uptime)
	if got := m.marks(); got != "stop start" {
		l.t.Errorf("the application's commands ran as %q", got)
	}
	if m.largest > mebibytes<<20 {
		l.t.Errorf("a process had %d MiB resident", m.largest>>20)
	}
	l.leftovers()
	l.goOn()
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			if s.Seconds > 1 {
				l.t.Logf("%s took %.1f s", s.Name, s.Seconds)
			}
		}
	}
	l.t.Logf("moved %d tables in %s: %d transactions beside it, %d rolled back, %d conflicts, %d repeated; downtime %.1f s, %d MiB",
		len(r.Tables), time.Since(l.began).Round(time.Millisecond), l.tally.Committed, l.tally.RolledBack, l.tally.Conflicts, l.tally.Retried,
		r.DowntimeSeconds, m.largest>>20)
}

// checkReport compares what the program says of its tables with what the judge saw.
func (l *live) checkReport(r report, rows map[string]int64, uptime []string) {
	l.t.Helper()
	if r.Ended == nil || r.Started == "" || r.DowntimeSeconds <= 0 {
		l.t.Errorf("the report's times: %+v", r)
	}
	live := map[string]bool{}
	for _, name := range uptime {
		live[name] = true
	}
	captured, seen := int64(0), map[string]bool{}
	for _, x := range r.Tables {
		name := x.Name[strings.LastIndexByte(x.Name, '.')+1:]
		seen[name] = true
		class, level := "downtime", "full-downtime"
		if live[name] {
			class = "uptime"
		}
		if live[name] && slices.Contains(aliveLevel, name) {
			level = "full-uptime+changed"
		}
		if x.Class != class || x.VerifyLevel != level || x.Verdict != "equal" {
			l.t.Errorf("the report on %s: class %s (%s), level %q, verdict %q", name, x.Class, x.Reason, x.VerifyLevel, x.Verdict)
		}
		// A live table is counted when it is compared while it lives; what came later was captured.
		if late := x.Rows - rows[name]; late != 0 && (!live[name] || max(late, -late) > x.Captured) {
			l.t.Errorf("the report says that %s has %d rows, it has %d; %d changes were captured", name, x.Rows, rows[name], x.Captured)
		}
		if x.Replayed > x.Captured {
			l.t.Errorf("%s: %d changes replayed of %d captured", name, x.Replayed, x.Captured)
		}
		captured += x.Captured
	}
	for name := range rows {
		if !seen[name] {
			l.t.Errorf("the report does not know %s", name)
		}
	}
	if len(uptime) > 0 && captured == 0 {
		l.t.Errorf("no change was captured: %+v", r.Tables)
	}
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			if s.State != "done" {
				l.t.Errorf("step %s is %q at the end", s.Name, s.State)
			}
		}
	}
}

// leftovers fails the test if anything of ours is left on either side of a move that has ended.
func (l *live) leftovers() {
	l.t.Helper()
	for side, at := range map[string]string{"source": l.source, "target": l.target} {
		if left := ours(l.t, at); len(left) > 0 {
			l.t.Errorf("left at the %s: %q", side, left)
		}
	}
}

// ours lists what is Whimbrel's in a database.
func ours(t *testing.T, at string) []string {
	t.Helper()
	lines, err := open(t, at).Catalog()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(lines, func(s string) bool { return !strings.Contains(s, "whimbrel_") })
}

// goOn lets the application work at the target for a moment, as its users will: fresh numbers, foreign keys, its rules.
func (l *live) goOn() {
	l.t.Helper()
	s, err := shop.Open(l.target, l.shop.Product, l.shop.Options)
	if err != nil {
		l.t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(l.t.Context(), 1500*time.Millisecond)
	defer cancel()
	if err := s.Fresh(ctx); err != nil {
		l.t.Errorf("at the target: %v", err)
	}
	tally, err := s.Run(ctx)
	if err != nil || !tally.Refused.IsZero() || tally.Committed == 0 {
		l.t.Errorf("the application at the target: %+v, %v", tally, err)
	}
	l.rules(s, open(l.t, l.target))
}
