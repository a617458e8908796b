package move

import (
	"context"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/procedure"
	"github.com/whimbrel/whimbrel/internal/state"
	"github.com/whimbrel/whimbrel/schema"
)

// surveyedShop is a shop whose surveys are counted, and find in one table what they are told to.
type surveyedShop struct {
	*shop
	mu    sync.Mutex
	looks int
	found []driver.Fact // in people
}

func (s *surveyedShop) Open(ctx context.Context, u *url.URL, o driver.Options) (*driver.Database, error) {
	d, err := s.shop.Open(ctx, u, o)
	if err == nil && o.Side == driver.Source {
		d.Surveyor = s
	}
	return d, err
}

func (s *surveyedShop) Survey(_ context.Context, t *schema.Table, _ driver.Questions) ([]driver.Fact, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks++
	if t.Name == people {
		return s.found, nil
	}
	return nil, nil
}

// TestAnEarlierLookIsReliedOn where it found nothing, was at the same table, asked as much, and is not old; and check always
// looks.
func TestAnEarlierLookIsReliedOn(t *testing.T) {
	s := &surveyedShop{shop: newShop(t, Standard().Name)}
	kept, err := state.Open(filepath.Join(s.config.Dir, ".whimbrel"))
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	m, err := Open(t.Context(), Setup{Config: s.config, State: kept, Drivers: []driver.Driver{s}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	run := func(how looking) (looks int, told string) {
		s.looks = 0
		e := &examination{}
		found, err := m.inspect(t.Context(), e, how)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			told += f.Rule + ": " + f.Message
		}
		return s.looks, told
	}
	expect := func(when string, how looking, want int) {
		if looks, told := run(how); looks != want || strings.Contains(told, "values-known") != (want < 2) {
			t.Errorf("%s: %d looks, not %d; %q", when, looks, want, told)
		}
	}
	change := func(f func(c *calm)) {
		var c calm
		if there, err := kept.Document(t.Context(), calmKey(people), &c); err != nil || !there {
			t.Fatal(there, err)
		}
		f(&c)
		if err := kept.SetDocument(t.Context(), calmKey(people), c); err != nil {
			t.Fatal(err)
		}
	}
	expect("the first look", relying, 2)
	expect("the second", relying, 0)
	expect("a check", afresh, 2)
	change(func(c *calm) { c.At = time.Now().Add(-calmFor - time.Minute) })
	expect("an old look", relying, 1)
	change(func(c *calm) { c.At = time.Now().Add(time.Hour) })
	expect("a look that is yet to come", relying, 1)
	change(func(c *calm) { c.Digest = "another" })
	expect("a table that was altered", relying, 1)
	change(func(c *calm) { delete(c.Asked, "name") })
	expect("more questions", relying, 1)
	change(func(c *calm) { c.Asked["name"] = []driver.Question{{What: driver.Longest, Above: 1 << 30}} })
	expect("shorter values", relying, 1)
	change(func(c *calm) { c.Server = "another" })
	expect("another server", relying, 1)
	s.found = []driver.Fact{{Column: "name", What: driver.Longest, Value: 5 << 20}}
	expect("a check that finds something", afresh, 2)
	expect("after one that found something", relying, 1)
	s.found = []driver.Fact{{Column: "name", What: driver.Longest, Value: 5}}
	expect("when it was mended", relying, 1)
	expect("and looked at again", relying, 0)
	s.looks = 0
	if outcome, err := m.Run(t.Context(), procedure.GoOn); err != nil || outcome != procedure.Finished || s.looks > 0 {
		t.Errorf("a run after it: %s, %v, %d looks", outcome, err, s.looks)
	}
}
