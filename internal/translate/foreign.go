package translate

import (
	"slices"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/check"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// foreign gives the target table its foreign keys.
func (t *translator) foreign(p *Pair) {
	for _, k := range p.Source.Foreign {
		made := *k
		object := "foreign key" + prefixed(k.Name)
		leave := func(why string) {
			t.find(p, check.Finding{
				Rule: "foreign-key", Level: driver.Lossy, Object: object, Message: "is left out: " + why,
				Do: "Accept it, or mend the source so that it can be made.",
			})
		}
		parent := t.pairs[k.Parent]
		if parent == nil {
			leave("its parent " + k.Parent.String() + " is not moved")
			continue
		}
		made.Parent = parent.Target.Name
		made.Columns, made.ParentCols = slices.Clone(k.Columns), slices.Clone(k.ParentCols)
		if len(made.ParentCols) == 0 && parent.Target.Primary != nil {
			made.ParentCols = parent.Target.Primary.Names()
		}
		derived := p.Target.Name.Name + "_" + first(k.Columns) + "_fkey"
		if t.same {
			made.Name = t.rename(p, "foreign key", constraintRoom, k.Name, derived)
			p.Target.Foreign = append(p.Target.Foreign, &made)
			continue
		}
		if !unique(parent.Target, made.ParentCols) {
			leave("no unique key of " + k.Parent.String() + " has exactly its columns")
			continue
		}
		if why := unlikeKinds(p.Target, parent.Target, &made); why != "" {
			leave(why)
			continue
		}
		t.actions(p, k, &made, object)
		if !t.same { // what the source left unproven is looked for before the move, and proven by the target in the end
			made.Unproven = false
		}
		if k.Unproven && t.same {
			t.find(p, check.Finding{
				Rule: "foreign-key", Level: driver.Note, Object: object,
				Message: "was not proven for the rows at the source, which may have no parent", Do: "",
			})
		}
		made.Name = t.rename(p, "foreign key", constraintRoom, k.Name, derived)
		p.Target.Foreign = append(p.Target.Foreign, &made)
	}
}

func first(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

// actions carries what a foreign key does and when it is checked, as far as the target can.
func (t *translator) actions(p *Pair, k, made *schema.ForeignKey, object string) {
	lose := func(message, do string) {
		t.find(p, check.Finding{Rule: "foreign-key", Level: driver.Lossy, Object: object, Message: message, Do: do})
	}
	for _, a := range []*schema.Action{&made.OnDelete, &made.OnUpdate} {
		if *a == schema.SetNull && slices.ContainsFunc(made.Columns, func(n string) bool { return !p.Target.Column(n).Null }) {
			*a = schema.NoAction // setting NULL where none may be is an error too, and some products take no such key
			t.find(p, check.Finding{
				Rule: "foreign-key", Level: driver.Note, Object: object,
				Message: "refuses at the target what at the source fails, since its column takes no NULL",
			})
		}
		if *a == schema.SetDefault && !t.has(driver.SetDefaultForeign) {
			*a = schema.NoAction
			lose("refuses at the target what at the source sets the default", "Let the application set it.")
		}
	}
	if k.MatchFull && len(k.Columns) > 1 && !t.has(driver.MatchFullForeign) {
		lose("takes partly NULL keys at the target", "See to it in the application, or add a check at the target.")
	}
	made.MatchFull = k.MatchFull && t.has(driver.MatchFullForeign)
	if (k.Deferrable || k.Deferred) && !t.has(driver.DeferrableForeign) {
		made.Deferrable, made.Deferred = false, false
		lose("is checked at once at the target and not at commit",
			"See to it that the application writes parents before their children.")
	}
}

// unique reports whether one of a table's keys has exactly these columns, in any order.
func unique(table *schema.Table, columns []string) bool {
	want := slices.Sorted(slices.Values(columns))
	for _, k := range append([]*schema.Key{table.Primary}, table.Uniques...) {
		if k == nil || k.Where != "" || k.Deferrable {
			continue
		}
		if names := k.Names(); len(names) > 0 && slices.Equal(slices.Sorted(slices.Values(names)), want) {
			return true
		}
	}
	return false
}

// unlikeKinds says in a clause that a foreign key's columns are of other kinds than its parent's; empty when they are not.
func unlikeKinds(child, parent *schema.Table, k *schema.ForeignKey) string {
	if len(k.Columns) != len(k.ParentCols) {
		return "it has not as many columns as its parent"
	}
	for i, name := range k.Columns {
		a, b := child.Column(name), parent.Column(k.ParentCols[i])
		if a == nil || b == nil || a.Type.Kind != b.Type.Kind {
			return "its column " + name + " is of another type than the parent's"
		}
	}
	return ""
}

// alignForeign gives an integer column that alone is a foreign key the type of its parent: there are products that ask for
// equal types, and the values fit, since every one is a value of the parent.
func (t *translator) alignForeign() {
	if t.same {
		return
	}
	parents := map[schema.Name]*schema.Table{}
	for _, p := range t.plan.Pairs {
		parents[p.Target.Name] = p.Target
	}
	const rounds = 8 // as deep as a chain of children whose types all differ; columns with two unlike parents end here too
	for range rounds {
		changed := false
		for _, p := range t.plan.Pairs {
			for _, k := range p.Target.Foreign {
				changed = t.align(p, k, parents[k.Parent]) || changed
			}
		}
		if !changed {
			return
		}
	}
}

func (t *translator) align(p *Pair, k *schema.ForeignKey, parent *schema.Table) (changed bool) {
	if len(k.Columns) != 1 || k.Unproven {
		return false
	}
	child, mother := p.Target.Column(k.Columns[0]), parent.Column(k.ParentCols[0])
	same := child.Type.Precision == mother.Type.Precision && child.Type.Unsigned == mother.Type.Unsigned
	if child.Type.Kind != row.Int || same || child.Identity.Kind != schema.None {
		return false
	}
	child.Type = mother.Type
	t.find(p, check.Finding{
		Rule: "foreign-type", Level: driver.Note, Column: child.Name, Message: "gets the type of its foreign key's parent", Do: "",
	})
	return true
}
