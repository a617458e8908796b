package move

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/internal/procedure"
	"github.com/whimbrel/whimbrel/internal/verify"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// rogue writes to a table of one side as somebody who has switched the triggers off: a row more, a row less, a row changed.
func rogue(t *testing.T, s *memory.Server, name schema.Name) {
	t.Helper()
	x := s.BeginSilent()
	for _, err := range []error{
		x.Insert(name, []byte("9001"), []byte("from nowhere")), x.Delete(name, row.MakeKey([]byte("17"))),
		x.Update(name, row.MakeKey([]byte("42")), []byte("42"), []byte("rogue")), x.Commit(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// rogues are the keys that rogue changes, as a report shows them.
var rogues = []string{`id "17": missing`, `id "42": unlike in name`, `id "9001": extra`}

// applied notes the keys that are applied to a table of the target.
type applied struct {
	driver.Applier
	mu   sync.Mutex
	keys map[schema.Name][]string
}

// Apply notes the keys and goes on.
func (a *applied) Apply(ctx context.Context, d driver.Delta) error {
	a.mu.Lock()
	for i := range d.Keys.Len() {
		a.keys[d.Table.Name] = append(a.keys[d.Table.Name], string(d.Keys.Cell(i, 0)))
	}
	a.mu.Unlock()
	return a.Applier.Apply(ctx, d)
}

// watchApplies makes a move note what it applies from now on.
func watchApplies(t *testing.T, m *Move) *applied {
	t.Helper()
	target, err := m.target(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a := &applied{Applier: target.Applier, keys: map[schema.Name][]string{}}
	target.Applier = a
	return a
}

func (s *shop) until(t *testing.T, m *Move, steps ...string) {
	t.Helper()
	for _, step := range steps {
		if outcome, err := m.Run(t.Context(), procedure.Stop); err != nil || outcome != procedure.Waiting {
			t.Fatalf("before %s: %s, %v", step, outcome, err)
		}
		if step == steps[len(steps)-1] {
			return
		}
		if err := m.Answer(t.Context(), step, procedure.Yes); err != nil {
			t.Fatal(err)
		}
	}
}

func tableOf(t *testing.T, m *Move, name schema.Name) TableReport {
	t.Helper()
	r, err := m.Report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range r.Tables {
		if x.Name == name.String() {
			return x
		}
	}
	t.Fatalf("no %s in the report", name)
	return TableReport{}
}

// What somebody writes to the target behind its guard, while the source is shut, is found at every table that is compared in
// full, keeps the target shut, and is mended row by row: exactly these rows, be the table recorded or not.
func TestRepairMendsExactlyTheRowsThatDiffer(t *testing.T) {
	for _, name := range []string{Standard().Name, DowntimeOptimized().Name} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t, name)
			s.config.Verify.Levels = nil
			m := s.open(t)
			s.until(t, m, "accept-findings", "confirm-downtime", "confirm-open")
			rogue(t, s.target, people)
			rogue(t, s.target, notes)
			if _, err := m.Verify(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, table := range []schema.Name{people, notes} {
				if x := tableOf(t, m, table); x.Verdict != Different || !slices.Equal(x.Keys, rogues) || x.Why == "" {
					t.Errorf("%s is %s at %q: %s", table, x.Verdict, x.Keys, x.Why)
				}
			}
			if err := m.Answer(t.Context(), "confirm-open", procedure.Yes); err == nil {
				t.Fatal("the target opens with rows that differ")
			}
			written := watchApplies(t, m)
			if _, err := m.Repair(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, table := range []schema.Name{people, notes} {
				keys := slices.Sorted(slices.Values(written.keys[table]))
				if !slices.Equal(keys, []string{"17", "42", "9001"}) {
					t.Errorf("%s: the rows %q were written", table, keys)
				}
				if x := tableOf(t, m, table); x.Verdict != Equal || x.Mended != 3 || x.Why == "" {
					t.Errorf("%s is %s, %d rows mended: %s", table, x.Verdict, x.Mended, x.Why)
				}
			}
			s.same(t)
			if err := m.Answer(t.Context(), "confirm-open", procedure.Yes); err != nil {
				t.Fatal(err)
			}
			if outcome, err := m.Run(t.Context(), procedure.GoOn); err != nil || outcome != procedure.Finished {
				t.Fatalf("%s, %v", outcome, err)
			}
			s.same(t)
		})
	}
}

// trimming is a target that cuts blanks off the end of what it is given.
type trimming struct{ driver.Applier }

// Apply trims.
func (a trimming) Apply(ctx context.Context, d driver.Delta) error {
	images := row.NewBatch(d.Images.Width())
	for i := range d.Images.Len() {
		for j := range d.Images.Width() {
			images.AppendString(strings.TrimRight(string(d.Images.Cell(i, j)), " "))
		}
	}
	d.Images = images
	return a.Applier.Apply(ctx, d)
}

// A target that does not keep what it is given can not be mended: that is said, in the downtime and in the uptime, and nothing
// opens.
func TestRepairOfAValueThatIsNotCarriedIsNoProof(t *testing.T) {
	blanks := func(s *shop, table schema.Name) {
		s.target.Flaw = memory.TrimmedText
		x := s.source.Begin()
		if err := x.Update(table, row.MakeKey([]byte("7")), []byte("7"), []byte("blanks at the end  ")); err != nil {
			t.Fatal(err)
		}
		if err := x.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	trim := func(m *Move) {
		target, err := m.target(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		target.Applier = trimming{target.Applier}
	}
	s := newShop(t, Standard().Name)
	blanks(s, notes)
	m := s.open(t)
	s.until(t, m, "accept-findings", "confirm-downtime", "confirm-open")
	trim(m)
	if _, err := m.Repair(t.Context()); err != nil {
		t.Fatal(err)
	}
	if x := tableOf(t, m, notes); x.Verdict != Different || !strings.Contains(x.Why, "does not keep what it is given") {
		t.Fatalf("%+v", x)
	}
	if err := m.Answer(t.Context(), "confirm-open", procedure.Yes); err == nil {
		t.Fatal("the target opens")
	}

	s = newShop(t, DowntimeOptimized().Name)
	blanks(s, people)
	m = s.open(t)
	trim(m)
	s.until(t, m, "accept-findings")
	if err := m.Answer(t.Context(), "accept-findings", procedure.Yes); err != nil {
		t.Fatal(err)
	}
	_, err := m.Run(t.Context(), procedure.Stop)
	if err == nil || !strings.Contains(err.Error(), `written again and still differs at id "7": unlike in name`) {
		t.Fatalf("%v", err)
	}
}

// Rows that are mended one batch after the other may hand each other a unique value.
func TestRepairOfSwappedUniqueValues(t *testing.T) {
	s := newShop(t, Standard().Name)
	m := s.open(t)
	s.until(t, m, "accept-findings", "confirm-downtime", "confirm-open")
	x := s.target.BeginSilent()
	for _, change := range [][2]string{{"7", "for a moment"}, {"6", "notes7"}, {"7", "notes6"}} {
		if err := x.Update(notes, row.MakeKey([]byte(change[0])), []byte(change[0]), []byte(change[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Repair(t.Context()); err != nil {
		t.Fatal(err)
	}
	if x := tableOf(t, m, notes); x.Verdict != Equal || x.Mended != 2 {
		t.Fatalf("%+v", x)
	}
	s.same(t)
}

// Nothing is mended while the application may write, nor once the target is open.
func TestRepairHasItsTime(t *testing.T) {
	s := newShop(t, DowntimeOptimized().Name)
	m := s.open(t)
	s.until(t, m, "accept-findings", "confirm-downtime")
	if _, err := m.Repair(t.Context()); err == nil {
		t.Error("rows were mended while the source was open")
	}
	if outcome, err := m.Run(t.Context(), procedure.GoOn); err != nil || outcome != procedure.Finished {
		t.Fatalf("%s, %v", outcome, err)
	}
	rogue(t, s.target, people)
	if _, err := m.Repair(t.Context()); err == nil || !strings.Contains(err.Error(), "open") {
		t.Errorf("rows were mended at an open target: %v", err)
	}
}

// once plants something at the first call of an operation of the target.
func (s *shop) once(at *memory.Server, op string, plant func()) {
	var planted sync.Once
	at.Fault = func(called string) error {
		if called == op {
			planted.Do(plant)
		}
		return nil
	}
}

// What is written to the target past its guard, or to the source past its triggers, before a table is compared while it lives:
// it is found, mended row by row, named in the report, and the table is compared in full in the downtime.
func TestLiveDifferencesAreMendedAndRemembered(t *testing.T) {
	for _, side := range []driver.Side{driver.Target, driver.Source} {
		t.Run(string(side), func(t *testing.T) {
			s := newShop(t, DowntimeOptimized().Name)
			at := map[driver.Side]*memory.Server{driver.Source: s.source, driver.Target: s.target}[side]
			s.once(s.target, "after Guard.Stands", func() { rogue(t, at, people) })
			m := s.open(t)
			written := watchApplies(t, m)
			s.until(t, m, "accept-findings", "confirm-downtime", "confirm-open")
			x := tableOf(t, m, people)
			if x.Verdict != Equal || x.VerifyLevel != FullDowntime || x.Mended != 3 || len(x.Keys) != 3 ||
				!strings.Contains(x.Why, "past the triggers, or written at the target past its guard") {
				t.Errorf("%s by %s, %d mended at %q: %s", x.Verdict, x.VerifyLevel, x.Mended, x.Keys, x.Why)
			}
			if keys := slices.Sorted(slices.Values(written.keys[people])); !slices.Equal(keys, []string{"17", "42", "9001"}) {
				t.Errorf("the rows %q were written", keys)
			}
			s.same(t)
		})
	}
}

// Somebody who takes the guard off and puts it back is seen by that, even where the table was compared before.
func TestAGuardThatWasTakenOffIsSeen(t *testing.T) {
	for _, back := range []bool{true, false} {
		t.Run(fmt.Sprint(back), func(t *testing.T) {
			s := newShop(t, DowntimeOptimized().Name)
			m := s.open(t)
			s.until(t, m, "accept-findings", "confirm-downtime")
			target, people := s.target.Open(driver.Target), tableNamed(m, people)
			if err := target.Guard.Open(t.Context(), people.target); err != nil {
				t.Fatal(err)
			}
			rogue(t, s.target, people.target.Name)
			if back {
				if err := target.Guard.Shut(t.Context(), people.target, m.sides.epoch); err != nil {
					t.Fatal(err)
				}
			}
			if err := m.Answer(t.Context(), "confirm-downtime", procedure.Yes); err != nil {
				t.Fatal(err)
			}
			s.until(t, m, "confirm-open")
			x := tableOf(t, m, people.source.Name)
			if x.Verdict != Different || !slices.Equal(x.Keys, rogues) || !strings.Contains(x.Why, "took the guard") {
				t.Fatalf("%s at %q: %s", x.Verdict, x.Keys, x.Why)
			}
			if _, err := m.Repair(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.same(t)
		})
	}
}

func tableNamed(m *Move, name schema.Name) *table {
	for _, t := range m.tables() {
		if t.source.Name == name {
			return t
		}
	}
	return nil
}

// Each level is what it says: what is planted behind the comparison of the uptime is found by a comparison in full, and by the
// changed keys where it is at one of them; elsewhere that level may miss it, and does.
func TestEachLevelIsWhatItSays(t *testing.T) {
	for _, c := range []struct {
		name  string
		level Level
		key   string // planted at this row of the target, in the downtime
		found bool
	}{
		{"full", FullDowntime, "42", true},
		{"changed", FullUptimeChanged, "7", true},
		{"unchanged", FullUptimeChanged, "42", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newShop(t, DowntimeOptimized().Name)
			s.config.Verify.Levels = map[string]Level{"people": c.level}
			m := s.open(t)
			s.until(t, m, "accept-findings", "confirm-downtime")
			planted, target := false, s.target.Open(driver.Target)
			s.target.Fault = func(op string) error {
				if at, _ := m.engine.Position().At("set-sequences"); at.State == procedure.Complete && !planted {
					planted = true
					changed := row.NewBatch(1) // what replay notes while it drains
					changed.AppendString("7")
					if err := target.Lists.Put(t.Context(), driver.Changed, tableNamed(m, people).target, changed); err != nil {
						t.Error(err)
					}
					x := s.target.BeginSilent()
					if err := x.Update(people, row.MakeKey([]byte(c.key)), []byte(c.key), []byte("rogue")); err != nil {
						t.Error(err)
					}
					if err := x.Commit(); err != nil {
						t.Error(err)
					}
				}
				return nil
			}
			if err := m.Answer(t.Context(), "confirm-downtime", procedure.Yes); err != nil {
				t.Fatal(err)
			}
			s.until(t, m, "confirm-open")
			r := tableOf(t, m, people)
			if !planted || r.VerifyLevel != c.level || (r.Verdict == Different) != c.found {
				t.Errorf("planted %t: %s by %s at %q", planted, r.Verdict, r.VerifyLevel, r.Keys)
			}
		})
	}
}

// A sample proves nothing of the rows that were not read: the target opens only with a typed reason.
func TestASampleNeedsATypedConsent(t *testing.T) {
	s := newShop(t, Standard().Name)
	s.config.Verify.Levels = map[string]Level{"people": Sample}
	m := s.open(t)
	s.until(t, m, "accept-findings", "confirm-downtime", "confirm-open")
	if x := tableOf(t, m, people); x.Verdict != Equal || x.VerifyLevel != Sample || !strings.Contains(x.Certificate, "part \"sampled rows\"\n") {
		t.Errorf("%s by %s\n%s", x.Verdict, x.VerifyLevel, x.Certificate)
	}
	if err := m.Answer(t.Context(), "confirm-open", procedure.Yes); err == nil {
		t.Error("yes opens a target that was compared by a sample")
	}
	if err := m.Answer(t.Context(), "confirm-open", openAnyway+"nobody has a day for this table"); err != nil {
		t.Error(err)
	}
}

// The certificate of every table holds, says what was compared, and is what the target opens by.
func TestEveryTableHasACertificate(t *testing.T) {
	s := newShop(t, DowntimeOptimized().Name)
	m := s.open(t)
	s.until(t, m, "accept-findings", "confirm-downtime", "confirm-open")
	private, err := m.key(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err := m.Report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range r.Tables {
		checked, err := verify.Check([]byte(x.Certificate), public(private))
		if err != nil {
			t.Fatalf("%s: %v\n%s", x.Name, err, x.Certificate)
		}
		if checked.Value("source-table") != x.Name || checked.Value("verdict") != "equal" || checked.Value("move") != r.Run ||
			checked.Value("level") != string(x.VerifyLevel) || checked.Value("key") != r.CertificateKey {
			t.Errorf("%s: %s", x.Name, x.Certificate)
		}
		alive := strings.Contains(x.Certificate, "while \"uptime\"\n")
		if alive != (x.VerifyLevel == FullUptimeChanged) {
			t.Errorf("%s by %s: %s", x.Name, x.VerifyLevel, x.Certificate)
		}
	}
	// A verdict that somebody wrote into the state is no certificate.
	of := tableNamed(m, notes)
	var kept proof
	if _, err := m.state.Document(t.Context(), downtimeProof(of), &kept); err != nil {
		t.Fatal(err)
	}
	kept.Certificate = strings.Replace(kept.Certificate, "differing 0", "differing 1", 1)
	if err := m.state.SetDocument(t.Context(), downtimeProof(of), kept); err != nil {
		t.Fatal(err)
	}
	if err := m.Answer(t.Context(), "confirm-open", procedure.Yes); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("the target opens by a forged certificate: %v", err)
	}
}

// A comparison in the uptime that is broken off goes on table by table: what was found equal is not read again, what was under way is,
// from its beginning.
func TestALiveComparisonGoesOnTableByTable(t *testing.T) {
	s := newShop(t, DowntimeOptimized().Name)
	s.config.Listed = append(s.config.Listed, Listed{Name: "notes", Place: "uptime.txt:2"})
	s.config.Verify.Levels = map[string]Level{"*": FullUptimeChanged}
	s.config.Sessions = Sessions{Source: 1, Target: 1} // one table after the other
	proofs := func(m *Move) map[string]proof {
		kept := map[string]proof{}
		for _, x := range m.tables() {
			var p proof
			if found, err := m.state.Document(t.Context(), uptimeProof(x), &p); err != nil {
				t.Fatal(err)
			} else if found {
				kept[x.name] = p
			}
		}
		return kept
	}
	var first map[string]proof
	t.Run("process", func(t *testing.T) {
		m := s.open(t)
		s.until(t, m, "accept-findings")
		if err := m.Answer(t.Context(), "accept-findings", procedure.Yes); err != nil {
			t.Fatal(err)
		}
		ctx, kill := context.WithCancel(t.Context())
		compared := 0
		s.target.Fault = func(op string) error {
			if op == "before Guard.Stands" {
				if compared++; compared == 2 {
					kill()
				}
			}
			return nil
		}
		if outcome, err := m.Run(ctx, procedure.Stop); outcome == procedure.Finished || err == nil && outcome != procedure.Interrupted {
			t.Fatalf("%s, %v", outcome, err)
		}
		first = proofs(m)
	})
	if len(first) != 1 {
		t.Fatalf("%d tables were compared before the end", len(first))
	}
	s.target.Fault = nil
	m := s.open(t)
	s.until(t, m, "confirm-downtime")
	all := proofs(m)
	if len(all) != 2 {
		t.Fatalf("%d tables were compared at last", len(all))
	}
	for name, p := range first {
		if !all[name].At.Equal(p.At) {
			t.Errorf("%s was compared again", name)
		}
	}
}
