package translate

import (
	"slices"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/check"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// columns gives the target table its columns.
func (t *translator) columns(p *Pair) {
	for _, c := range p.Source.Columns {
		made := *c
		switch {
		case t.same && !c.Made:
			made.Type = t.renamedType(c.Type)
			made.Identity.Sequence = t.renamedName(c.Identity.Sequence)
			t.ownWords(p, c)
		default:
			t.foreignColumn(p, c, &made)
		}
		p.Target.Columns = append(p.Target.Columns, &made)
	}
}

// ownWords finds expressions in the source's own words that name a schema which is called differently at the target.
func (t *translator) ownWords(p *Pair, c *schema.Column) {
	if c.Default != nil && c.Default.Kind == schema.Expression {
		t.namesSchema(p, c.Name, "", c.Default.Text)
	}
	if c.Generated != nil {
		t.namesSchema(p, c.Name, "", c.Generated.Expression)
	}
}

func (t *translator) namesSchema(p *Pair, column, object, words string) {
	for from, to := range t.schemas {
		if from != to && (strings.Contains(words, from+".") || strings.Contains(words, t.src.Quote(from)+".")) {
			t.find(p, check.Finding{
				Rule: "schema-in-expression", Level: driver.Forbidden, Column: column, Object: object,
				Message: "has an expression that names schema " + from + ", which is " + to + " at the target",
				Do:      "Name " + from + " in target.schema, or change the expression at the source.",
			})
		}
	}
}

// renamedType is a type of the same product, with its own type's schema as the target calls it.
func (t *translator) renamedType(from schema.Type) schema.Type {
	to := from
	if from.Def == (schema.Name{}) {
		return to
	}
	to.Def = t.renamedName(from.Def)
	if to.Def != from.Def {
		for _, old := range []string{t.src.Quote(from.Def.Schema), from.Def.Schema} {
			to.Raw = strings.Replace(to.Raw, old+".", t.dst.Quote(to.Def.Schema)+".", 1)
		}
	}
	return to
}

func (t *translator) renamedName(n schema.Name) schema.Name {
	if n != (schema.Name{}) {
		n.Schema = t.schemaOf(n.Schema)
	}
	return n
}

// foreignColumn makes a column of another product out of one: its type by the target's dialect, and of what stands beside
// the type as much as travels.
func (t *translator) foreignColumn(p *Pair, c, made *schema.Column) {
	made.Type = t.foreignType(p, c, made)
	made.Default = t.foreignDefault(p, c)
	made.Identity = schema.Identity{} // identities come when the keys are known
	lose := func(rule string, level driver.Level, message, do string) {
		t.find(p, check.Finding{Rule: rule, Level: level, Column: c.Name, Message: message, Do: do})
	}
	if c.Generated != nil {
		made.Generated, made.Default = nil, nil
		lose("generated", driver.Lossy, "is computed by the source; at the target it is a plain column that keeps the moved values",
			"Let the application fill it, or make it a generated column at the target after the move.")
	}
	if c.OnUpdate != "" && !t.has(driver.OnUpdateNow) {
		made.OnUpdate = ""
		lose("on-update", driver.Lossy, "is set by the source whenever its row changes, and not by the target",
			"Let the application set it, or make a trigger at the target after it is opened.")
	}
	if c.Hidden && !t.has(driver.HiddenColumns) {
		made.Hidden = false
		lose("hidden", driver.Note, "is invisible at the source and shows in SELECT * at the target", "")
	}
	if c.Comment != "" && !t.has(driver.TableComments) {
		made.Comment = ""
		lose("comment", driver.Note, "loses its comment", "")
	}
	if c.Type.Unsigned && !made.Type.Unsigned {
		lose("unsigned", driver.Note, "takes negative numbers at the target", "")
	}
	if k := p.Source.Primary; made.Null && k != nil && slices.Contains(k.Names(), c.Name) {
		made.Null = false
	}
}

// foreignType asks the target's dialect what the column's type becomes there. A column that only an index needs may keep
// a type without a bound where the target can index its beginning.
func (t *translator) foreignType(p *Pair, c, made *schema.Column) schema.Type {
	from := c.Type
	from.Def = schema.Name{}
	if t.signed[columnName{p.Source.Name, c.Name}] {
		from.Unsigned = false
		t.find(p, check.Finding{
			Rule: "signed", Level: driver.Note, Column: c.Name,
			Message: "holds numbers up to 9223372036854775807 at the target, whose generators make no larger ones",
		})
	}
	inKey, inIndex := t.inKey(p.Source, c.Name), t.inIndex(p.Source, c.Name)
	to, losses := t.dst.Carry(from, inKey)
	if inIndex && !inKey {
		whole, more := t.dst.Carry(from, true)
		if unbounded(to) && !unbounded(whole) && t.has(driver.PrefixIndexes) {
			t.prefixed[made] = true
		} else {
			to, losses = whole, more
		}
	}
	losses = slices.Clone(losses)
	if len(losses) == 0 && lessExact(from, to) {
		losses = append(losses, driver.Loss{
			Level: driver.Lossy, Message: "keeps fewer digits after the point at the target than it has",
		})
	}
	for _, l := range losses {
		t.plan.Losses = append(t.plan.Losses, check.Loss{Table: p.Source.Name, Column: c.Name, Target: to, Loss: l})
	}
	return to
}

// findSigned finds the unsigned columns of 64 bits that draw from a generator, and those that point to them by foreign keys,
// where the target has no such columns: an ordinary integer with a generator is worth more than the numbers that no
// generator ever reaches.
func (t *translator) findSigned() {
	t.signed = map[columnName]bool{}
	if t.same || t.has(driver.UnsignedNumbers) {
		return
	}
	for _, p := range t.plan.Pairs {
		for _, c := range p.Source.Columns {
			if t.identity(p, c).Kind != schema.None && c.Type.Kind == row.Int && c.Type.Unsigned && c.Type.Precision == 64 {
				t.signed[columnName{p.Source.Name, c.Name}] = true
			}
		}
	}
	for found := -1; found < len(t.signed); {
		found = len(t.signed)
		for _, p := range t.plan.Pairs {
			for _, k := range p.Source.Foreign {
				for i, name := range k.Columns {
					if i < len(k.ParentCols) && t.signed[columnName{k.Parent, k.ParentCols[i]}] {
						t.signed[columnName{p.Source.Name, name}] = true
					}
				}
			}
		}
	}
}

func unbounded(t schema.Type) bool {
	return t.Length == 0 && len(t.Values) == 0 && (t.Kind == row.Text || t.Kind == row.Bytes || t.Kind == row.JSON || t.Kind == row.Other)
}

// lessExact reports that the target's type has fewer digits after the point than the source's, although its dialect told
// of no loss.
func lessExact(from, to schema.Type) bool {
	if from.Kind != to.Kind || to.Scale < 0 {
		return false
	}
	switch from.Kind {
	case row.Decimal, row.Time, row.Timestamp, row.Instant, row.Duration, row.Interval:
		return to.Scale < from.Scale
	}
	return false
}

// inKey reports whether a column is part of the primary key, a unique key, or a foreign key on either side: there the type
// must be one that the target compares as a whole.
func (t *translator) inKey(table *schema.Table, column string) bool {
	part := func(p schema.Part) bool { return p.Column == column }
	if table.Primary != nil && slices.ContainsFunc(table.Primary.Columns, part) {
		return true
	}
	for _, k := range table.Uniques {
		if t.carriesKey(k) == "" && slices.ContainsFunc(k.Columns, part) {
			return true
		}
	}
	for _, f := range table.Foreign {
		if slices.Contains(f.Columns, column) {
			return true
		}
	}
	return t.referenced[columnName{table.Name, column}]
}

func (t *translator) inIndex(table *schema.Table, column string) bool {
	return slices.ContainsFunc(table.Indexes, func(x *schema.Index) bool {
		return t.carriesIndex(x) == "" && ordinary(x.Method) &&
			slices.ContainsFunc(x.Columns, func(p schema.Part) bool { return p.Column == column })
	})
}

// foreignDefault is the default as far as it travels.
func (t *translator) foreignDefault(p *Pair, c *schema.Column) *schema.Default {
	d := c.Default
	if d == nil {
		return nil
	}
	f := check.Finding{
		Rule: "default", Level: driver.Lossy, Column: c.Name, Detail: d.Text,
		Do: "Let the application give the value, or set a default at the target after the move.",
	}
	switch {
	case c.Generated != nil:
		return nil
	case d.Kind == schema.Literal && !sayable(c.Type.Kind, d.Text):
		f.Message = "has a default that is no date and is left out"
	case d.Kind == schema.RandomUUID && !t.has(driver.RandomUUIDs):
		f.Message = "has a default that makes a new UUID, which the target can not"
	case d.Kind == schema.Expression && t.identity(p, c).Kind == schema.None:
		f.Message = "has a default in the source's own words, which is left out"
	case d.Kind == schema.Expression:
		return nil // the words of its generator
	default:
		made := *d
		return &made
	}
	t.find(p, f)
	return nil
}

// sayable reports whether a literal of this kind is a value that a cell can say: a zero date is not.
func sayable(k row.Kind, literal string) bool {
	day, clock, timed := strings.Cut(literal, " ")
	switch k {
	case row.Date:
		return validDay(literal)
	case row.Timestamp, row.Instant:
		return validDay(day) && (!timed || validClock(clock))
	}
	return true
}

// identities gives the target's columns their generators, as far as its product lets a column have one.
func (t *translator) identities(p *Pair) {
	only := t.onlyIdentity(p)
	for i, c := range p.Source.Columns {
		id := t.identity(p, c)
		if id.Kind == schema.None || t.same {
			continue
		}
		made := p.Target.Columns[i]
		lose := func(level driver.Level, message, do string) {
			t.find(p, check.Finding{Rule: "identity", Level: level, Column: c.Name, Message: message, Do: do})
		}
		if why := t.refusesIdentity(p, made, only); why != "" {
			lose(driver.Lossy, "draws its values from a generator, and at the target it can not: "+why,
				"Let the application give the value.")
			continue
		}
		made.Default = nil
		made.Identity = schema.Identity{Kind: id.Kind, Start: id.Start, Increment: id.Increment}
		if c.Identity.Kind == schema.None {
			t.plan.became[id.Sequence] = driver.Generator{Table: p.Target.Name, Column: c.Name}
		}
		if id.Kind == schema.Always && !t.has(driver.IdentityAlways) {
			made.Identity.Kind = schema.ByDefault
			lose(driver.Note, "takes explicit values at the target, where its generator does not insist", "")
		}
		if id.Increment != 0 && id.Increment != 1 && !t.has(driver.IdentitySteps) {
			made.Identity.Increment = 1
			lose(driver.Lossy, "counts in steps at the source and by one at the target",
				"Accept it if nothing depends on the steps.")
		}
	}
}

// onlyIdentity is the column that may have the one generator of a table, where the target allows no more: one that a key or
// an index begins with, else the first. Empty where every column may.
func (t *translator) onlyIdentity(p *Pair) string {
	if t.has(driver.IdentityAnywhere) {
		return ""
	}
	only := ""
	for i, c := range p.Source.Columns {
		switch {
		case t.identity(p, c).Kind == schema.None || p.Target.Columns[i].Type.Kind != row.Int:
		case leads(p.Target, c.Name):
			return c.Name
		case only == "":
			only = c.Name
		}
	}
	return only
}

// leads reports whether a key or an index of the table begins with the column.
func leads(table *schema.Table, column string) bool {
	first := func(parts []schema.Part) bool { return len(parts) > 0 && parts[0].Column == column }
	return table.Primary != nil && first(table.Primary.Columns) ||
		slices.ContainsFunc(table.Uniques, func(k *schema.Key) bool { return first(k.Columns) }) ||
		slices.ContainsFunc(table.Indexes, func(x *schema.Index) bool { return first(x.Columns) })
}

// refusesIdentity says in a clause why the target can not give this column a generator; empty when it can.
func (t *translator) refusesIdentity(p *Pair, c *schema.Column, only string) string {
	key := p.Target.Primary
	sole := key != nil && len(key.Columns) == 1 && key.Columns[0].Column == c.Name
	switch {
	case c.Type.Kind != row.Int:
		return "its type there is no integer"
	case t.has(driver.IdentityAnywhere):
		return ""
	case c.Name != only:
		return "only one column of a table may, and " + only + " does"
	case t.has(driver.IdentityInKey):
		t.indexIdentity(p, c)
	case !sole:
		return "the column alone is not the primary key"
	}
	return ""
}

// indexIdentity gives a column with a generator the index that the target asks for, where no key or index begins with it.
func (t *translator) indexIdentity(p *Pair, c *schema.Column) {
	if leads(p.Target, c.Name) {
		return
	}
	x := &schema.Index{Columns: []schema.Part{{Column: c.Name}}}
	x.Name = t.rename(p, "index", indexRoom, "", deriveName(p, x.Columns, "idx"))
	p.Target.Indexes = append(p.Target.Indexes, x)
	t.find(p, check.Finding{
		Rule: "identity", Level: driver.Note, Column: c.Name, Message: "gets an index at the target, where its generator needs one",
	})
}
