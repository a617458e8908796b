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
