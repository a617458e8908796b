package move

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

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

// TestARowThatCanNotBeMadeStopsItsTable with its key and the place of the rule, and no value of it.
func TestARowThatCanNotBeMadeStopsItsTable(t *testing.T) {
	s := newShop(t, Standard().Name)
	s.config.New = &release.Release{Rules: []transform.Rule{{Place: "release.yaml:3", Table: "people", Columns: []transform.Column{
		{Place: "release.yaml:5", Name: "age", Value: `int(name)`, Type: "int"},
	}}}}
	m := s.open(t)
	_, err := m.Run(t.Context(), procedure.GoOn)
	if err == nil || !strings.Contains(err.Error(), "column age of main.people, key 0,") || !strings.Contains(err.Error(), "release.yaml:5") || strings.Contains(err.Error(), "people0") {
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
