package translate

import (
	"slices"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/check"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// Questions returns what a survey should find out about each table before it is translated: what the losses of its columns
// depend on, whether there are values that no cell can say, and values of more than careful bytes. What would change
// nothing between these two databases is not among them.
func Questions(
	source *schema.Schema, from, to driver.Info, src, dst driver.Dialect, o Options, careful int64,
) map[schema.Name]driver.Questions {
	o.Facts = nil
	t := translator{Options: o}
	t.run(source, from, to, src, dst)
	asked := make(map[schema.Name]driver.Questions, len(t.plan.Pairs))
	for _, p := range t.plan.Pairs {
		q := driver.Questions{}
		for _, c := range p.Source.Columns {
			t.ask(q, c, careful)
		}
		asked[p.Source.Name] = q
	}
	for _, l := range t.plan.Losses {
		for _, what := range l.Unless {
			one := driver.Question{What: what}
			if what == driver.Longest {
				one.Above = l.Bound(to.Limits.Value)
			}
			asked[l.Table].Ask(l.Column, one)
		}
	}
	return asked
}

// ask adds what is asked about a column whatever it loses.
func (t *translator) ask(q driver.Questions, c *schema.Column, careful int64) {
	for _, what := range check.Unsayable() {
		if t.matters(what) && (what != driver.Unmade || c.Made) {
			q.Ask(c.Name, driver.Question{What: what})
		}
	}
	if c.Made {
		q.Ask(c.Name, driver.Question{What: driver.Replaced})
	}
	if !t.literals() && (c.Type.Kind == row.Decimal || c.Type.Kind >= row.Time && c.Type.Kind <= row.Interval) {
		q.Ask(c.Name, driver.Question{What: driver.Fractions})
	}
	if len(c.Type.Values) > 0 && !c.Type.Set && !t.same {
		q.Ask(c.Name, driver.Question{What: driver.BadEnum})
	}
	if most := t.to.Limits.Value; most > 0 {
		careful = min(careful, most)
	}
	q.Ask(c.Name, driver.Question{What: driver.Longest, Above: min(careful, check.LargestValue)})
}

// matters reports whether values that no cell can say are in the way. Between two databases of one product the product's own
// words for dates that are none pass as they are.
func (t *translator) matters(what driver.FactKind) bool {
	return !t.same || what == driver.Unmade || what == driver.Replaced || !t.literals() && (what == driver.WrongClass || what == driver.BadText)
}

// unsayable returns the facts of a table's columns about values that have no cell and are in the way.
func (t *translator) unsayable(p *Pair) []driver.Fact {
	return slices.DeleteFunc(slices.Clone(t.Facts[p.Source.Name]), func(f driver.Fact) bool { return !t.matters(f.What) })
}
