package move

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/internal/check"
	"github.com/whimbrel/whimbrel/internal/procedure"
	"github.com/whimbrel/whimbrel/internal/release"
	"github.com/whimbrel/whimbrel/internal/transform"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// newForm is what a new release makes of people: another name, the key under another name, a computed column, a constant,
// and only those whose number is not one more than a multiple of three.
func newForm() *release.Release {
	return &release.Release{Name: "shop", Version: "2", Rules: []transform.Rule{{
		Place: "release.yaml:3", Table: "people", To: "persons", Where: "id % 3 != 1",
		Columns: []transform.Column{
			{Place: "release.yaml:5", Name: "number", From: "id"},
			{Place: "release.yaml:6", Name: "label", Value: `string(id) + ":" + (name ?? "nobody")`, Type: "text"},
			{Place: "release.yaml:7", Name: "origin", Value: `"shop1"`, Type: "text"},
		},
	}}}
}

// turned is the same, said once more without the code that is tested.
func turned(b *row.Batch) []string {
	var all []string
	for i := range b.Len() {
		id, name := string(b.Cell(i, 0)), "nobody"
		if !b.Null(i, 1) {
			name = string(b.Cell(i, 1))
		}
		if n, _ := strconv.Atoi(id); n%3 != 1 {
			all = append(all, fmt.Sprintf("%s|%q|%s:%s|shop1", id, b.Cell(i, 1), id, name))
		}
	}
	return all
}

// TestAMoveToANewRelease converts a table on its way, in the load and in the replay, while the application writes to it, and
// proves it.
func TestAMoveToANewRelease(t *testing.T) {
	s := newShop(t, DowntimeOptimized().Name)
	s.config.New = newForm()
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer wg.Wait()
	defer cancel()
	var changes int
	wg.Go(func() { changes = s.write(ctx, 7) })
	m := s.open(t)
	if outcome, err := m.Run(t.Context(), procedure.GoOn); err != nil || outcome != procedure.Finished {
		t.Fatalf("%s, %v", outcome, err)
	}
	wg.Wait()
	if changes == 0 {
		t.Fatal("the application never wrote")
	}
	var got []string
	persons := s.target.Rows(schema.Name{Schema: "main", Name: "persons"})
	for i := range persons.Len() {
		got = append(got, fmt.Sprintf("%s|%q|%s|%s", persons.Cell(i, 0), persons.Cell(i, 1), persons.Cell(i, 2), persons.Cell(i, 3)))
	}
	if want := turned(s.source.Rows(people)); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
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
}

// TestARowThatCanNotBeMade is found before the start; one that comes later stops its table. Both are told with the row's key and
// no value of it.
func TestARowThatCanNotBeMade(t *testing.T) {
	s := newShop(t, Standard().Name)
	s.config.New = &release.Release{Rules: []transform.Rule{{Place: "release.yaml:3", Table: "people", Columns: []transform.Column{
		{Place: "release.yaml:5", Name: "age", Value: `name == "people5" or name startsWith "late" ? int(name) : 1`, Type: "int"},
	}}}}
	m := s.open(t)
	found, err := m.Check(t.Context())
	text := check.Text(found)
	if err != nil || !strings.Contains(text, "can not be made of some rows by the release's rule") || !strings.Contains(text, "1 row, key 5") || !check.Forbids(found) {
		t.Errorf("%v\n%s", err, text)
	}
	write := func(do func(x *memory.Tx) error) {
		x := s.source.Begin()
		if err := errors.Join(do(x), x.Commit()); err != nil {
			t.Fatal(err)
		}
	}
	write(func(x *memory.Tx) error { return x.Delete(people, row.MakeKey([]byte("5"))) })
	if outcome, err := m.Run(t.Context(), procedure.Stop); err != nil || outcome != procedure.Waiting {
		t.Fatalf("%s, %v", outcome, err)
	}
	write(func(x *memory.Tx) error { return x.Insert(people, []byte("999"), []byte("late-comer")) })
	_, err = m.Run(t.Context(), procedure.GoOn)
	if err == nil || !strings.Contains(err.Error(), "column age of main.people, key 999,") || !strings.Contains(err.Error(), "release.yaml:5") || strings.Contains(err.Error(), "late-comer") {
		t.Error(err)
	}
	if err := m.Reset(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestAWrongRuleIsFoundBeforeAnythingStarts.
func TestAWrongRuleIsFoundBeforeAnythingStarts(t *testing.T) {
	s := newShop(t, Standard().Name)
	s.config.New = &release.Release{Rules: []transform.Rule{
		{Place: "release.yaml:3", Table: "poeple"},
		{Place: "release.yaml:4", Table: "notes", Columns: []transform.Column{{Place: "release.yaml:6", Name: "x", From: "nane"}}},
	}}
	m := s.open(t)
	_, err := m.Check(t.Context())
	if err == nil || !strings.Contains(err.Error(), "release.yaml:3: there is no table poeple at the source") || !strings.Contains(err.Error(), "release.yaml:6: column x: main.notes has no column nane") {
		t.Error(err)
	}
}

// TestARuleThatChangesStopsTheMove: rows that were loaded by one rule are not replayed by another.
func TestARuleThatChangesStopsTheMove(t *testing.T) {
	s := newShop(t, DowntimeOptimized().Name)
	s.config.New = newForm()
	m := s.open(t)
	for range 2 { // at accept-findings, then at confirm-downtime
		if outcome, err := m.Run(t.Context(), procedure.Stop); err != nil || outcome != procedure.Waiting {
			t.Fatalf("%s, %v", outcome, err)
		}
		_ = m.Answer(t.Context(), "accept-findings", procedure.Yes) // the second time it is no longer asked
	}
	s.config.New.Rules[0].Columns[2].Value = `"shop2"`
	_, err := m.Run(t.Context(), procedure.GoOn)
	if err == nil || !strings.Contains(err.Error(), "not those that this move began with") {
		t.Error(err)
	}
	s.config.New = newForm()
	s.config.New.Rules[0].Place = "release.yaml:4" // a line was put before it
	if outcome, err := m.Run(t.Context(), procedure.GoOn); err != nil || outcome != procedure.Finished {
		t.Fatalf("%s, %v", outcome, err)
	}
}
