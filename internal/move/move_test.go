package move

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/internal/procedure"
	"github.com/whimbrel/whimbrel/internal/state"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// shop is a move between two databases in memory.
type shop struct {
	source, target *memory.Server
	config         *Config
}

// Schemes and Open make a shop the driver of its own two databases.
func (s *shop) Schemes() []string { return []string{"memory"} }

func (s *shop) Open(_ context.Context, _ *url.URL, o driver.Options) (*driver.Database, error) {
	if o.Side == driver.Source {
		return s.source.Open(o.Side), nil
	}
	return s.target.Open(o.Side), nil
}

var people, notes = schema.Name{Schema: "main", Name: "people"}, schema.Name{Schema: "main", Name: "notes"}

func newShop(t *testing.T, procedure string) *shop {
	t.Helper()
	s := &shop{source: memory.New("source"), target: memory.New("target")}
	for _, name := range []schema.Name{people, notes} {
		id := &schema.Column{Name: "id", Type: schema.Type{Kind: row.Int, Precision: 64}}
		text := &schema.Column{Name: "name", Type: schema.Type{Kind: row.Text}, Null: true}
		if err := s.source.Create(&schema.Table{
			Name: name, Columns: []*schema.Column{id, text}, Rows: -1, Bytes: -1,
			Primary: &schema.Key{Name: name.Name + "_pk", Columns: []schema.Part{{Column: "id"}}, Constraint: true},
			Uniques: []*schema.Key{{Name: name.Name + "_name", Columns: []schema.Part{{Column: "name"}}}},
		}); err != nil {
			t.Fatal(err)
		}
		x := s.source.Begin()
		for i := range 200 {
			if err := x.Insert(name, []byte(strconv.Itoa(i)), []byte(fmt.Sprint(name.Name, i))); err != nil {
				t.Fatal(err)
			}
		}
		if err := x.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	s.config = &Config{
		Procedure: procedure, Dir: t.TempDir(), Sessions: Sessions{Source: 2, Target: 2},
		Source: Side{URL: NewSecret("memory://source/main")}, Target: Side{URL: NewSecret("memory://target/main")},
		Verify: Verify{Levels: map[string]Level{"people": FullUptimeChanged}},
		Wait:   Wait{Lock: time.Second, Settled: time.Second},
	}
	if procedure == DowntimeOptimized().Name {
		s.config.Listed = []Listed{{Name: "people", Place: "uptime.txt:1"}}
	}
	return s
}

// open opens the move in its state's folder, as a new process would.
func (s *shop) open(t *testing.T) *Move {
	t.Helper()
	kept, err := state.Open(filepath.Join(s.config.Dir, ".whimbrel"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := Open(t.Context(), Setup{Config: s.config, State: kept, Drivers: []driver.Driver{s}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if err := kept.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// write changes people until the gate refuses it or the context ends, and returns how many changes it made.
func (s *shop) write(ctx context.Context, seed uint64) (changes int) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	for ctx.Err() == nil {
		x := s.source.Begin()
		for range 1 + rnd.IntN(4) {
			id, to := strconv.Itoa(rnd.IntN(250)), strconv.Itoa(rnd.IntN(250))
			name := []byte("p" + strconv.Itoa(rnd.IntN(300)))
			var err error
			switch rnd.IntN(4) {
			case 0:
				err = x.Insert(people, []byte(to), name)
			case 1:
				err = x.Delete(people, row.MakeKey([]byte(id)))
			default:
				err = x.Update(people, row.MakeKey([]byte(id)), []byte(to), name)
			}
			if (memory.Dialect{}).Classify(err) == driver.Refused {
				x.Rollback()
				return changes
			}
			if err == nil {
				changes++
			}
		}
		if rnd.IntN(10) == 0 {
			x.Rollback()
		} else if err := x.Commit(); err != nil {
			return changes
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Millisecond):
		}
	}
	return changes
}

func (s *shop) same(t *testing.T) {
	t.Helper()
	for _, name := range []schema.Name{people, notes} {
		a, b := s.source.Rows(name), s.target.Rows(name)
		if a.Len() != b.Len() {
			t.Fatalf("%s: %d rows at the source, %d at the target", name, a.Len(), b.Len())
		}
		for i := range a.Len() {
			if string(a.Row(i)) != string(b.Row(i)) {
				t.Fatalf("%s: row %d differs: %q %q", name, i, a.Row(i), b.Row(i))
			}
		}
	}
}

func TestMoveWithALiveApplication(t *testing.T) {
	s := newShop(t, DowntimeOptimized().Name)
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer wg.Wait()
	defer cancel()
	changes := make([]int, 3)
	for i := range changes {
		wg.Go(func() { changes[i] = s.write(ctx, uint64(i)) })
	}
	m := s.open(t)
	outcome, err := m.Run(t.Context(), procedure.GoOn)
	if err != nil || outcome != procedure.Finished {
		t.Fatalf("%s, %v", outcome, err)
	}
	wg.Wait()
	s.same(t)
	if changes[0] == 0 {
		t.Fatal("the application never wrote")
	}
	r, err := m.Report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range r.Tables {
		if table.Verdict != Equal {
			t.Errorf("%s: verdict %q", table.Name, table.Verdict)
		}
	}
	if r.Tables[1].Name != "main.people" || r.Tables[1].VerifyLevel != FullUptimeChanged || r.Tables[1].Replayed == 0 {
		t.Errorf("the report of people: %+v", r.Tables[1])
	}
	if r.DowntimeBegan == nil || r.DowntimeEnded == nil || r.DowntimeEnded.Sub(*r.DowntimeBegan).Seconds() != r.DowntimeSeconds || r.DowntimeBegan.Before(r.Started) {
		t.Errorf("the downtime's moments: %v to %v", r.DowntimeBegan, r.DowntimeEnded)
	}
	if r.DowntimeSeconds <= 0 || r.DowntimeSeconds > r.Seconds {
		t.Errorf("downtime of %f seconds in %f", r.DowntimeSeconds, r.Seconds)
	}
	if left := s.target.Left(); len(left) > 0 {
		t.Errorf("left at the target: %q", left)
	}
}

func TestStandardMoveAndReset(t *testing.T) {
	s := newShop(t, Standard().Name)
	m := s.open(t)
	outcome, err := m.Run(t.Context(), procedure.Stop)
	if err != nil || outcome != procedure.Waiting {
		t.Fatalf("%s, %v", outcome, err)
	}
	for _, step := range []string{"accept-findings", "confirm-downtime"} {
		if err := m.Answer(t.Context(), step, procedure.Yes); err != nil {
			t.Fatal(err)
		}
		if outcome, err = m.Run(t.Context(), procedure.Stop); err != nil || outcome != procedure.Waiting {
			t.Fatalf("%s, %v", outcome, err)
		}
	}
	s.same(t)
	if err := m.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := append(s.source.Left(), s.target.Left()...); len(left) > 0 {
		t.Fatalf("left after the reset: %q", left)
	}
	if outcome, err = m.Run(t.Context(), procedure.GoOn); err != nil || outcome != procedure.Finished {
		t.Fatalf("after the reset: %s, %v", outcome, err)
	}
	s.same(t)
}

func TestAMoveUnderWayIsTurnedIntoTheOther(t *testing.T) {
	s := newShop(t, DowntimeOptimized().Name)
	m := s.open(t)
	for _, step := range []string{"accept-findings", "confirm-downtime"} {
		if outcome, err := m.Run(t.Context(), procedure.Stop); err != nil || outcome != procedure.Waiting {
			t.Fatalf("%s, %v", outcome, err)
		}
		answer := procedure.Yes
		if step == "confirm-downtime" {
			answer = Standard().Name
		}
		if err := m.Answer(t.Context(), step, answer); err != nil {
			t.Fatal(err)
		}
	}
	if outcome, err := m.Run(t.Context(), procedure.GoOn); err != nil || outcome != procedure.Finished {
		t.Fatalf("%s, %v", outcome, err)
	}
	s.same(t)
	r, err := m.Report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Procedure != Standard().Name || r.Tables[1].Class != Downtime || r.Tables[1].Rows != 200 || r.Tables[1].Verdict != Equal {
		t.Fatalf("%s: %+v", r.Procedure, r.Tables[1])
	}
}

func TestAMoveIsTurnedThereAndBack(t *testing.T) {
	s := newShop(t, DowntimeOptimized().Name)
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { s.write(ctx, 5) })
	m := s.open(t)
	answers := map[string][]string{
		"accept-findings":  {procedure.Yes, procedure.Yes, procedure.Yes},
		"confirm-downtime": {Standard().Name, DowntimeOptimized().Name, procedure.Yes},
		"confirm-open":     {procedure.Yes},
	}
	for {
		outcome, err := m.Run(t.Context(), procedure.Stop)
		if err != nil {
			t.Fatal(err)
		}
		if outcome == procedure.Finished {
			break
		}
		at, _ := m.engine.Position().Question()
		answer := answers[at.Step.Name][0]
		answers[at.Step.Name] = answers[at.Step.Name][1:]
		if err := m.Answer(t.Context(), at.Step.Name, answer); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	s.same(t)
}

// The answer may come from a process that has done nothing else: it must judge by what is kept.
func TestAnotherProcessCanNotOpenAnUnequalTarget(t *testing.T) {
	s := newShop(t, Standard().Name)
	s.target.Flaw = memory.TrimmedText
	x := s.source.Begin()
	if err := x.Update(notes, row.MakeKey([]byte("7")), []byte("7"), []byte("blanks at the end  ")); err != nil {
		t.Fatal(err)
	}
	if err := x.Commit(); err != nil {
		t.Fatal(err)
	}
	life := func(do func(t *testing.T, m *Move)) {
		t.Run("process", func(t *testing.T) { do(t, s.open(t)) })
	}
	for _, step := range []string{"accept-findings", "confirm-downtime", "confirm-open"} {
		life(func(t *testing.T, m *Move) {
			if outcome, err := m.Run(t.Context(), procedure.Stop); err != nil || outcome != procedure.Waiting {
				t.Fatalf("%s, %v", outcome, err)
			}
		})
		life(func(t *testing.T, m *Move) {
			err := m.Answer(t.Context(), step, procedure.Yes)
			if (err == nil) != (step != "confirm-open") {
				t.Fatalf("%s was answered: %v", step, err)
			}
		})
	}
	life(func(t *testing.T, m *Move) {
		if err := m.Answer(t.Context(), "confirm-open", openAnyway+"the row is known"); err != nil {
			t.Fatal(err)
		}
	})
}

// A table without a verdict keeps the target shut like one that differs, whoever answers.
func TestATableThatWasNotComparedKeepsTheTargetShut(t *testing.T) {
	for _, name := range []string{Standard().Name, DowntimeOptimized().Name} {
		s := newShop(t, name)
		m := s.open(t)
		s.until(t, m, "accept-findings", "confirm-downtime", "confirm-open")
		for _, missing := range m.tables() {
			var kept proof
			if found, err := m.state.Document(t.Context(), downtimeProof(missing), &kept); err != nil || !found {
				t.Fatalf("%s has no verdict: %v", missing.name, err)
			}
			if err := m.state.DeleteDocument(t.Context(), downtimeProof(missing)); err != nil {
				t.Fatal(err)
			}
			if err := m.Answer(t.Context(), "confirm-open", procedure.Yes); err == nil || !strings.Contains(err.Error(), missing.name+" was not compared") {
				t.Errorf("%s: %v", missing.name, err)
			}
			if err := m.state.SetDocument(t.Context(), downtimeProof(missing), kept); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Answer(t.Context(), "confirm-open", procedure.Yes); err != nil {
			t.Error(err)
		}
	}
}

// Hours may lie between the answer and the step that opens the target: what is kept is judged once more.
func TestAnAnswerIsJudgedAgainWhenTheTargetOpens(t *testing.T) {
	s := newShop(t, Standard().Name)
	m := s.open(t)
	s.until(t, m, "accept-findings", "confirm-downtime", "confirm-open")
	if err := m.Answer(t.Context(), "confirm-open", procedure.Yes); err != nil {
		t.Fatal(err)
	}
	if err := m.state.DeleteDocument(t.Context(), downtimeProof(tableNamed(m, notes))); err != nil {
		t.Fatal(err)
	}
	s.stays(t, m, "open-target", "main.notes was not compared")
}

func TestAnUnequalTableKeepsTheTargetShut(t *testing.T) {
	s := newShop(t, Standard().Name)
	s.target.Flaw = memory.TrimmedText
	x := s.source.Begin()
	if err := x.Update(notes, row.MakeKey([]byte("7")), []byte("7"), []byte("blanks at the end  ")); err != nil {
		t.Fatal(err)
	}
	if err := x.Commit(); err != nil {
		t.Fatal(err)
	}
	m := s.open(t)
	outcome, err := m.Run(t.Context(), procedure.GoOn)
	if outcome != procedure.Failure || err == nil {
		t.Fatalf("the target opened with a difference: %s, %v", outcome, err)
	}
	r, err := m.Report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Tables[0].Verdict != Different || len(r.Tables[0].Keys) != 1 || r.Tables[0].Keys[0] != `id "7": unlike in name` {
		t.Fatalf("the report of notes: %+v", r.Tables[0])
	}
}
