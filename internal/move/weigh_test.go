package move

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/check"
	"github.com/whimbrel/whimbrel/internal/plan"
	"github.com/whimbrel/whimbrel/internal/procedure"
	"github.com/whimbrel/whimbrel/internal/release"
	"github.com/whimbrel/whimbrel/internal/transform"
	"github.com/whimbrel/whimbrel/schema"
)

// TestWhatForbidsARelease: each is a finding with what to do, before anything starts.
func TestWhatForbidsARelease(t *testing.T) {
	s := newShop(t, Standard().Name)
	s.config.New = &release.Release{
		Name: "shop", Version: "2", Databases: []string{"oracle"}, Repository: []release.Pattern{{Text: "cfg_*", Place: "release.yaml:5:14"}},
		Build: release.Scripts{Command: "true"}, Update: release.Scripts{Command: "true"},
		From: release.From{Query: "SELECT 1", Answer: "1", Place: "release.yaml:3:7"},
	}
	s.config.Shadow = Shadow{At: driver.Target, Lock: Watch}
	m := s.open(t)
	found, err := m.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text := check.Text(found)
	for _, want := range []string{
		"cfg_*: is in the release's repository and matches no table of the source (release.yaml:5:14)", "release shop 2: runs on oracle and not on memory",
		"has an update, and scripts can not be let into this target", "has tables of its own, and the target can not hold a shadow", "can not tell whether the source has the release it starts from",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not found:\n%s", want, text)
		}
	}
	if !check.Forbids(found) {
		t.Error("nothing forbids the move")
	}
	if outcome, err := m.Run(t.Context(), procedure.GoOn); err == nil || outcome != procedure.Failure || !strings.Contains(err.Error(), "accept-findings") {
		t.Errorf("%s, %v", outcome, err)
	}
}

// TestARepositoryThatCanNotBeWatched, or that is of several schemas, or has a rule too.
func TestARepositoryThatCanNotBeWatched(t *testing.T) {
	s := newShop(t, Standard().Name)
	s.config.New = &release.Release{Rules: []transform.Rule{{Table: "words", Place: "release.yaml:9:3"}}}
	s.config.Shadow = Shadow{At: driver.Target, Lock: Watch}
	m := s.open(t)
	e := &examination{Schema: &schema.Schema{}}
	for _, name := range []schema.Name{{Schema: "a", Name: "words"}, {Schema: "b", Name: "colours"}} {
		e.Schema.Tables = append(e.Schema.Tables, &schema.Table{Name: name})
		e.Choices = append(e.Choices, chosen{Table: name, Class: plan.Repository})
	}
	text := check.Text(m.weighTables(t.Context(), e, s.source.Open(driver.Source)))
	for _, want := range []string{
		"a.words", "b.colours", "can not be watched: it has no primary key and no unique key without NULL", "has a rule of transform too (release.yaml:9:3)", "has tables of several schemas",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not found:\n%s", want, text)
		}
	}
	s.config.Shadow.Lock = Refuse
	if text := check.Text(m.weighTables(t.Context(), e, s.source.Open(driver.Source))); strings.Contains(text, "watched") {
		t.Error(text)
	}
}

// TestHealth: an application that is late is waited for, one that never answers ends in one sentence.
func TestHealth(t *testing.T) {
	asked := 0
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer page.Close()
	h := release.Health{URL: page.URL, Within: 5 * time.Second, Every: time.Millisecond, Place: "release.yaml:11:11"}
	if err := healthy(t.Context(), h, t.TempDir(), nil); err != nil || asked != 3 {
		t.Errorf("asked %d times: %v", asked, err)
	}
	asked, h.Within = -1_000_000, 500*time.Millisecond
	err := healthy(t.Context(), h, t.TempDir(), nil)
	if err == nil || !strings.Contains(err.Error(), "release.yaml:11:11: the application has not answered within 500ms, the last time: "+page.URL+" answers 503 Service Unavailable; see why it does not, and run the same command again") {
		t.Error(err)
	}
	h = release.Health{Command: `test "$WHIMBREL_STEP" = start-application`, Within: 10 * time.Second, Every: time.Millisecond}
	if err := healthy(t.Context(), h, t.TempDir(), []string{"WHIMBREL_STEP=start-application"}); err != nil {
		t.Error(err)
	}
	h.Within = 500 * time.Millisecond
	if err := healthy(t.Context(), h, t.TempDir(), nil); err == nil {
		t.Error("a command that fails is no answer")
	}
	if err := healthy(t.Context(), release.Health{}, t.TempDir(), nil); err != nil {
		t.Error(err)
	}
}
