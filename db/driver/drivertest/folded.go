package drivertest

import (
	"slices"

	"github.com/whimbrel/whimbrel/db/driver"
)

// folded is the table codes with a key by which values are equal that differ in case.
func (cfg Config) folded() design {
	g := codes
	g.name, g.columns = "folded", slices.Clone(codes.columns)
	g.columns[0] = column{name: "code", typ: cfg.Folded, own: true}
	return g
}

// applyFolded applies batches to a table whose own key holds equal what differs in case. A batch that knows of a key that it has no
// row any more takes no row of another key along (HAZARDS C10); one that brings a row takes what is in its way, and says so.
func (s *scene) applyFolded() {
	if !s.cfg.folds() {
		return
	}
	r := s.ready(s.cfg.folded(), []string{"Ada", "1"}, []string{"bob", "2"})
	r.apply([]string{"ada", "BOB"})
	r.want("keys without rows", []string{"Ada", "1"}, []string{"bob", "2"})
	r.apply([]string{"ada", "Ada"}, []string{"Ada", "3"})
	r.want("both keys of a row", []string{"Ada", "3"}, []string{"bob", "2"})
	r.listed(driver.Repairs)
	r.apply([]string{"BOB"}, []string{"BOB", "4"})
	r.want("the new key alone", []string{"Ada", "3"}, []string{"BOB", "4"})
	r.listed(driver.Repairs, "bob")
	r.apply([]string{"bob"})
	r.want("the old key after it", []string{"Ada", "3"}, []string{"BOB", "4"})
}

// takeFolded takes keys that a collation holds equal, one at a time: each batch has the row of exactly the key it names, or none, be
// the key noted or asked for beside (HAZARDS C10).
func (s *scene) takeFolded() {
	if !s.cfg.folds() {
		return
	}
	c := s.captured(s.cfg.folded(), []string{"ada", "1"})
	s.do(func(x Tx) error { return x.Update(c.t, key("ada"), cells("Ada", "1")...) })
	for range 2 {
		w := c.most()
		w.Most = 1
		r, keys, rows := c.take(w)
		if len(keys) != 1 {
			s.Fatalf("keys: %q", keys)
		}
		var want [][]string
		if keys[0] == lines([]string{"Ada"})[0] {
			want = [][]string{{"Ada", "1"}}
		}
		s.same("the row of "+keys[0], rows, lines(want...))
		c.forget(r)
	}
	for _, also := range []string{"ada", "ADA", "Ada"} {
		w := c.most()
		w.Also = batch(1, []string{also})
		r, _, rows := c.take(w)
		var want [][]string
		if also == "Ada" {
			want = [][]string{{"Ada", "1"}}
		}
		s.same("the row of "+also+", which is asked for", rows, lines(want...))
		c.forget(r)
	}
}
