package move

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/internal/procedure"
	"github.com/whimbrel/whimbrel/internal/release"
	"github.com/whimbrel/whimbrel/internal/transform"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// persons is people as the new release makes it, with rows of its own, some under keys that users have too.
var persons = schema.Name{Schema: "main", Name: "persons"}

// mergingShop is a shop whose new release has rows of people, and the shadow in which its build has made them.
func mergingShop(t *testing.T, wins string) (*shop, *memory.Server) {
	t.Helper()
	s, shadow := newShop(t, DowntimeOptimized().Name), memory.New("shadow")
	s.config.New = &release.Release{Name: "shop", Version: "2", Rules: []transform.Rule{{
		Place: "release.yaml:3", Table: "people", To: "persons", Merge: &transform.Merge{Place: "release.yaml:7", Wins: wins},
	}}}
	build(t, shadow, "r")
	return s, shadow
}

// build makes the release's tables in the shadow.
func build(t *testing.T, shadow *memory.Server, names string) {
	t.Helper()
	for _, name := range []schema.Name{persons, {Schema: "main", Name: "dictionary"}} {
		id := &schema.Column{Name: "id", Type: schema.Type{Kind: row.Int, Precision: 32}}
		text := &schema.Column{Name: "name", Type: schema.Type{Kind: row.Text}, Null: true}
		err := shadow.Create(&schema.Table{
			Name: name, Columns: []*schema.Column{text, id},
			Primary: &schema.Key{Name: name.Name + "_pk", Columns: []schema.Part{{Column: "id"}}, Constraint: true},
		})
		x := shadow.Begin()
		for i := range 60 {
			err = errors.Join(err, x.Insert(name, []byte(names+strconv.Itoa(i)), []byte(strconv.Itoa(5*i))))
		}
		if err := errors.Join(err, x.Commit()); err != nil {
			t.Fatal(err)
		}
	}
}

// take does with the shadow what build-shadow does when the build has ended, and returns what is left in it.
func take(ctx context.Context, m *Move, shadow *memory.Server) ([]string, error) {
	inside := shadow.Open(driver.Source)
	has, err := inside.Inspector.Inspect(ctx, nil)
	if err == nil {
		has, err = m.takeMerged(ctx, inside, has)
	}
	if err != nil {
		return nil, err
	}
	var left []string
	for _, t := range has.Tables {
		left = append(left, t.Name.Name)
	}
	return left, nil
}

func contents(s *memory.Server, name schema.Name) map[string]string {
	all, b := map[string]string{}, s.Rows(name)
	for i := range b.Len() {
		all[string(b.Cell(i, 0))] = fmt.Sprintf("%q", b.Cell(i, 1))
	}
	return all
}

// TestAMoveMergesTheReleasesRows, read once, whatever a later build makes, across processes, while the application writes.
func TestAMoveMergesTheReleasesRows(t *testing.T) {
	s, shadow := mergingShop(t, transform.SourceWins)
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer wg.Wait()
	defer cancel()
	changes := 0
	wg.Go(func() { changes = s.write(ctx, 11) })
	life := func(do func(t *testing.T, m *Move)) {
		t.Run("process", func(t *testing.T) { do(t, s.open(t)) })
	}
	until := func(t *testing.T, m *Move) {
		if outcome, err := m.Run(t.Context(), procedure.Stop); err != nil || outcome != procedure.Waiting {
			t.Fatalf("%s, %v", outcome, err)
		}
	}
	life(func(t *testing.T, m *Move) {
		until(t, m)
		if left, err := take(t.Context(), m, shadow); err != nil || !slices.Equal(left, []string{"dictionary"}) {
			t.Fatalf("%v, %v", left, err)
		}
		if err := m.Answer(t.Context(), "accept-findings", procedure.Yes); err != nil {
			t.Fatal(err)
		}
		until(t, m)
	})
	life(func(t *testing.T, m *Move) {
		until(t, m)
		again := memory.New("shadow")
		build(t, again, "other") // in the downtime, because the repository has changed
		if left, err := take(t.Context(), m, again); err != nil || !slices.Equal(left, []string{"dictionary"}) {
			t.Fatalf("%v, %v", left, err)
		}
	})
	life(func(t *testing.T, m *Move) {
		if outcome, err := m.Run(t.Context(), procedure.GoOn); err != nil || outcome != procedure.Finished {
			t.Fatalf("%s, %v", outcome, err)
		}
		r, err := m.Report(t.Context())
		if err != nil || r.Tables[1].Verdict != Equal || r.Tables[1].Replayed == 0 {
			t.Errorf("%+v, %v", r.Tables[1], err)
		}
	})
	wg.Wait()
	want := map[string]string{}
	for i := range 60 {
		want[strconv.Itoa(5*i)] = fmt.Sprintf("%q", "r"+strconv.Itoa(i))
	}
	maps.Copy(want, contents(s.source, people))
	if got := contents(s.target, persons); !maps.Equal(got, want) || changes == 0 {
		t.Errorf("after %d changes\ngot  %v\nwant %v", changes, got, want)
	}
}

// TestAMoveWithoutTheReleasesRows is told so, and nothing is loaded.
func TestAMoveWithoutTheReleasesRows(t *testing.T) {
	s, _ := mergingShop(t, transform.SourceWins)
	m := s.open(t)
	if _, err := m.Check(t.Context()); err != nil {
		t.Error(err)
	}
	_, err := m.Run(t.Context(), procedure.GoOn)
	if err == nil || !strings.Contains(err.Error(), "the release's rows, which are to be merged with the users', are not known yet") || s.target.Rows(persons).Len() > 0 {
		t.Error(err)
	}
	if err := m.Reset(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestWrongShadows: what the build has made or not made is refused in one sentence.
func TestWrongShadows(t *testing.T) {
	points := func(t *testing.T, shadow *memory.Server) {
		id := &schema.Column{Name: "id", Type: schema.Type{Kind: row.Int}}
		if err := shadow.Create(&schema.Table{
			Name: schema.Name{Schema: "main", Name: "favourite"}, Columns: []*schema.Column{id}, Primary: &schema.Key{Columns: []schema.Part{{Column: "id"}}},
			Foreign: []*schema.ForeignKey{{Name: "of", Columns: []string{"id"}, Parent: persons, ParentCols: []string{"id"}}},
		}); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		change func(*testing.T, *memory.Server)
		want   string
	}{
		"a key that points to it": {points, "release.yaml:7: merge: the foreign key of of the release's table favourite points to persons"},
		"missing": {func(t *testing.T, shadow *memory.Server) {
			db := shadow.Open(driver.Source)
			if err := run(t.Context(), db, db.Dialect.DropTable(&schema.Table{Name: persons})); err != nil {
				t.Fatal(err)
			}
		}, "release.yaml:7: merge: the release's build has made no table for the rows of main.people"},
	} {
		t.Run(name, func(t *testing.T) {
			s, shadow := mergingShop(t, transform.ReleaseWins)
			test.change(t, shadow)
			m := s.open(t)
			if outcome, err := m.Run(t.Context(), procedure.Stop); err != nil || outcome != procedure.Waiting {
				t.Fatalf("%s, %v", outcome, err)
			}
			if _, err := take(t.Context(), m, shadow); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v; want %q", err, test.want)
			}
		})
	}
}
