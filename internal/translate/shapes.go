package translate

import (
	"slices"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/check"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// shapes says which columns of a pair travel, as which cells, and which key its rows are known by.
func (t *translator) shapes(p *Pair) {
	var written []int
	for i, c := range p.Source.Columns {
		source, target := t.cells(p, c, p.Target.Columns[i])
		p.Read.Source.Columns = append(p.Read.Source.Columns, source)
		p.Read.Target.Columns = append(p.Read.Target.Columns, target)
		if target.Column.Generated == nil {
			written = append(written, i)
		}
	}
	key := p.Source.LiveKey()
	if key != nil && slices.ContainsFunc(key.Names(), func(n string) bool { return p.Target.Column(n).Generated != nil }) {
		t.find(p, check.Finding{
			Rule: "generated-key", Level: driver.NotLive, Message: "has a computed column in its key",
			Do: "Move it in the downtime.",
		})
		key = nil
	}
	if p.Key = key; key != nil {
		for _, n := range key.Names() {
			at := slices.IndexFunc(p.Source.Columns, func(c *schema.Column) bool { return c.Name == n })
			p.Read.Source.Key = append(p.Read.Source.Key, at)
		}
		p.Read.Target.Key = slices.Clone(p.Read.Source.Key)
	}
	p.Load = Shapes{Source: p.Read.Source.Pick(written), Target: p.Read.Target.Pick(written)}
	t.secondary(p)
	t.findings = append(t.findings, check.Values(p.Source.Name, t.unsayable(p), t.plan.Losses)...)
}

// secondary lists the target's unique keys beside the one that rows are known by.
func (t *translator) secondary(p *Pair) {
	var live *schema.Key
	if p.Key != nil {
		live = t.keys[p.Key]
	}
	for _, k := range append([]*schema.Key{p.Target.Primary}, p.Target.Uniques...) {
		if k != nil && k != live {
			p.Secondary = append(p.Secondary, k)
		}
	}
}

// cells says how one column travels. Both sides print a cell alike: a decimal at the source's scale, or at the target's
// where the source's values have each their own or the target keeps fewer digits; a time with the digits that both keep.
func (t *translator) cells(p *Pair, s, d *schema.Column) (source, target schema.ShapeColumn) {
	cell := schema.ShapeColumn{Column: s, Cell: s.Type.Kind, Scale: scale(s.Type, d.Type), Digits: t.digits(s.Type, d.Type)}
	if len(s.Type.Values) > 0 {
		cell.Cell = row.Text
	}
	if t.literals() {
		cell.Cell = row.Other
	}
	facts := t.Facts.Of(p.Source.Name, s.Name)
	if !t.same {
		cell.Lenient = t.lenient(p, s, d, facts)
	}
	t.tooFine(p, cell, facts)
	target = cell
	target.Column = d
	return cell, target
}

// literals reports that both sides are a product whose columns hold values of any kind: they travel as they are.
func (t *translator) literals() bool { return t.same && t.from.Limits.Literals }

// tooFine forbids a column whose values have more digits than its cells, as a survey found, when no loss speaks of it.
func (t *translator) tooFine(p *Pair, c schema.ShapeColumn, facts []driver.Fact) {
	told := check.Told(t.plan.Losses, p.Source.Name, c.Column.Name, driver.Fractions)
	bound := c.Cell == row.Decimal && c.Scale >= 0 || c.Cell >= row.Time && c.Cell <= row.Interval
	for _, f := range facts {
		if f.What == driver.Fractions && f.Count > 0 && bound && !told {
			t.find(p, check.Finding{
				Rule: string(f.What), Level: driver.Forbidden, Column: c.Column.Name,
				Message: "holds values with more digits after the point than its type declares",
				Do:      "Round them at the source, or declare more digits there.",
			})
		}
	}
}

// lenientFacts are the facts about values that become NULL when the operator accepts their loss.
var lenientFacts = []driver.FactKind{driver.ZeroDate, driver.Infinite, driver.BeforeYear1, driver.AfterYear4}

// lenient reports whether a column's values that no cell can say become NULL: a survey found them, and the target's dialect
// calls it a loss that consent allows. Then the target's column takes NULL, whatever the source's does.
func (t *translator) lenient(p *Pair, s, d *schema.Column, facts []driver.Fact) bool {
	i := slices.IndexFunc(t.plan.Losses, func(l check.Loss) bool {
		if l.Table != p.Source.Name || l.Column != s.Name || l.Level != driver.Lossy {
			return false
		}
		f, met := l.Met(facts, t.to.Limits.Value)
		return met && slices.Contains(lenientFacts, f.What)
	})
	if i < 0 {
		return false
	}
	if t.inKey(p.Source, s.Name) {
		t.find(p, check.Finding{
			Rule: "unsayable-key", Level: driver.Forbidden, Column: s.Name,
			Message: "is part of a key and holds values that would become NULL", Do: "Change them at the source first.",
		})
		return false
	}
	if !d.Null {
		d.Null = true
		t.find(p, check.Finding{
			Rule: "becomes-null", Level: driver.Lossy, Column: s.Name,
			Message: "takes NULL at the target, for the values that can not be carried",
			Do:      "Accept it, or change these values at the source first.",
		})
	}
	return true
}

// scale is how many digits after the point a decimal cell has, -1 when each value has its own.
func scale(s, d schema.Type) int {
	if s.Kind != row.Decimal {
		return 0
	}
	own := s.Scale
	if s.Precision > 0 {
		own = max(own, 0) // a scale below zero rounds whole digits away: nothing is after the point
	}
	if d.Kind != row.Decimal || d.Scale < 0 {
		return own
	}
	if own < 0 {
		return d.Scale
	}
	return min(own, d.Scale)
}

// digits is how many digits of a second travel.
func (t *translator) digits(s, d schema.Type) int {
	switch s.Kind {
	case row.Time, row.Timestamp, row.Instant, row.Duration, row.Interval:
	default:
		return 0
	}
	n := s.Scale
	switch d.Kind {
	case row.Time, row.Timestamp, row.Instant, row.Duration, row.Interval:
		n = min(n, d.Scale)
		if most := t.to.Limits.Seconds; most > 0 {
			n = min(n, most)
		}
	}
	return max(n, 0)
}
