package translate

import (
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/check"
	"github.com/whimbrel/whimbrel/schema"
)

// types plans the application's own types between databases of one product. Elsewhere columns get base types, and the
// rules of an enum or a domain become checks of the columns.
func (t *translator) types() {
	for _, d := range t.source.Types {
		if t.same {
			made := *d
			made.Name.Schema = t.schemaOf(d.Name.Schema)
			made.Base = t.renamedType(d.Base)
			t.plan.Types = append(t.plan.Types, &made)
			continue
		}
		f := check.Finding{Rule: "own-type", Level: driver.Note, Object: "type " + d.Name.String()}
		switch d.What {
		case "enum":
			f.Message = "is an enum: its columns get a type of the target that holds the same values"
		case "domain":
			f.Message = "is a domain: its columns get its base type, and its checks as their own"
		default:
			f.Level, f.Message = driver.Lossy, "is a type that the target has not: its columns hold the values' text"
			f.Do = "Change the application to read the text, or give the columns other types at the source first."
		}
		t.findings = append(t.findings, f)
	}
}

// sequences plans free generators between databases of one product. Those of identity columns are made with their tables.
func (t *translator) sequences() {
	for _, s := range t.source.Sequences {
		object := "sequence " + s.Name.String()
		if owner := t.owner(s); owner != nil {
			if s.Cycle || s.Cache > 1 {
				t.findings = append(t.findings, check.Finding{
					Rule: "sequence", Level: driver.Note, Table: s.Owner, Column: s.Column, Object: object,
					Message: "loses its CYCLE or CACHE", Do: "Set them at the target if the application counts on them.",
				})
			}
			continue
		}
		if users := t.users(s); !t.same && len(users) == 1 {
			t.drawn[users[0]] = s // it becomes the generator of this column
			continue
		}
		if !t.same {
			t.findings = append(t.findings, check.Finding{
				Rule: "sequence", Level: driver.Lossy, Object: object,
				Message: "belongs to no column and is not carried to another product",
				Do:      "Make what stands for it at the target, past its last value.",
			})
			continue
		}
		made := *s
		made.Name.Schema = t.schemaOf(s.Name.Schema)
		made.Owner, made.Column = schema.Name{}, "" // it is made before the tables are
		t.plan.Sequences = append(t.plan.Sequences, &made)
		t.plan.moved[s.Name] = made.Name
	}
}

// users are the moved columns of integers whose default draws from a free generator.
func (t *translator) users(s *schema.Sequence) (all []columnName) {
	for _, table := range t.source.Tables {
		if t.Moved != nil && !t.Moved(table.Name) {
			continue
		}
		for _, c := range table.Columns {
			if d := c.Default; d != nil && d.Kind == schema.Expression && c.Identity.Kind == schema.None && draws(d.Text, s.Name) {
				all = append(all, columnName{table.Name, c.Name})
			}
		}
	}
	return all
}

// draws reports whether an expression is nothing but the next value of this generator: nextval('s.name'::regclass) and
// nextval(`s`.`name`) are how the products that have generators of their own write it.
func draws(expression string, name schema.Name) bool {
	inner, call := strings.CutPrefix(strings.ToLower(expression), "nextval(")
	inner, closed := strings.CutSuffix(inner, ")")
	if !call || !closed {
		return false
	}
	inner = strings.TrimSuffix(inner, "::regclass")
	inner = strings.NewReplacer("'", "", `"`, "", "`", "").Replace(inner)
	return inner == strings.ToLower(name.String()) || inner == strings.ToLower(name.Name)
}

// identity is what gives a column of the source its numbers: its own generator, or a free one that it alone draws from.
func (t *translator) identity(p *Pair, c *schema.Column) schema.Identity {
	if s := t.drawn[columnName{p.Source.Name, c.Name}]; s != nil {
		return schema.Identity{Kind: schema.ByDefault, Sequence: s.Name, Start: s.Start, Increment: s.Increment}
	}
	return c.Identity
}

// owner is the identity column a generator belongs to, nil for a free one.
func (t *translator) owner(s *schema.Sequence) *schema.Column {
	table := t.source.Table(s.Owner)
	if table == nil {
		return nil
	}
	if c := table.Column(s.Column); c != nil && c.Identity.Kind != schema.None {
		return c
	}
	return nil
}

// advice is what to do about what stands beside the tables and is not carried.
var advice = map[string]string{
	"view":              "Make it at the target from its definition, before the application starts.",
	"materialized view": "Make it at the target and refresh it, before the application starts.",
	"function":          "Write it for the target, before the application starts.",
	"procedure":         "Write it for the target, before the application starts.",
	"aggregate":         "Write it for the target, before the application starts.",
	"package":           "Write it for the target, before the application starts.",
	"trigger":           "Write it for the target; make it after the target is opened, since it must not fire on moved rows.",
	"rule":              "Write a trigger for the target that does the same; make it after the target is opened.",
	"event":             "Plan the same job at the target, off until it is opened.",
	"policy":            "Make it at the target before it is opened: until then everybody with the right sees every row.",
	"extension":         "Install it at the target if the application uses it.",
	"grant":             "Grant the same rights at the target before it is opened.",
	"foreign table":     "Make it at the target, with its server; its rows live elsewhere and are not moved.",
	"virtual table":     "Make it at the target from its definition and fill it from the table that it indexes.",
	"publication":       "Make it at the target if somebody still subscribes to it.",
	"subscription":      "Decide whether the target or nobody shall subscribe, and drop it at the source before the downtime.",
	"collation":         "Make it at the target before the move, under the same name.",
	"statistics":        "Make them at the target after the load.",
}

// others finds everything that stands beside the tables. Nothing of it is carried.
func (t *translator) others() {
	for _, o := range t.source.Others {
		if t.Moved != nil && o.Table != (schema.Name{}) && !t.Moved(o.Table) {
			continue
		}
		f := check.Finding{
			Rule: "not-carried", Level: driver.Lossy, Table: o.Table, Object: o.What + " " + o.Name.Name,
			Message: "is a " + o.What + ", which is not carried", Do: advice[strings.ToLower(o.What)],
		}
		if o.Table == (schema.Name{}) {
			f.Object = o.What + " " + o.Name.String()
		}
		if strings.ContainsRune("aeiou", rune(strings.ToLower(o.What + "x")[0])) {
			f.Message = "is an " + o.What + ", which is not carried"
		}
		if f.Do == "" {
			f.Do = "Make what stands for it at the target, or accept that it is gone."
		}
		if what := strings.ToLower(o.What); what == "extension" || what == "statistics" {
			f.Level = driver.Note
		}
		t.findings = append(t.findings, f)
	}
}

// options carries a table's own properties and finds those that are lost. What only says where and how rows are stored is
// not the target's matter when its product is another.
func (t *translator) options(p *Pair) {
	o := p.Source.Options
	lose := func(lost bool, rule string, level driver.Level, message, do string) {
		if lost {
			t.find(p, check.Finding{Rule: rule, Level: level, Message: message, Do: do})
		}
	}
	lose(o.Partitioned, "partitioned", driver.Lossy, "is partitioned and becomes one plain table",
		"Accept it, or make the partitions at the target after the move.")
	lose(len(o.Inherits) > 0, "inherits", driver.Lossy, "inherits from another table and becomes a table of its own",
		"Make a view or partitions at the target where the application reads the rows through the parent.")
	lose(len(o.Children) > 0, "inherits", driver.Lossy, "has tables that inherit from it: at the target it shows its own rows only",
		"Make a view or partitions at the target where the application reads the rows through the parent.")
	lose(o.RowSecurity, "row-security", driver.Lossy, "has row security, which is not carried",
		"Turn it on and make its policies at the target before it is opened.")
	lose(o.Versioned, "versioned", driver.Lossy, "keeps old versions of its rows, which are not moved",
		"Accept it, or copy the history by hand.")
	if !t.same {
		lose(o.Unlogged, "unlogged", driver.Note, "is not logged at the source and is an ordinary table at the target", "")
		lose(p.Source.Comment != "" && !t.has(driver.TableComments), "comment", driver.Note, "loses its comment", "")
		return
	}
	o.Partitioned, o.Partitions, o.Inherits, o.Children, o.RowSecurity = false, nil, nil, nil, false
	if t.renamed || p.Source.Options.Partitioned || len(p.Source.Options.Inherits) > 0 {
		o.Raw = "" // the source's statement would make something else
	}
	p.Target.Options = o
}

// has reports whether the target's tables can have these features.
func (t *translator) has(f driver.Features) bool { return t.to.Limits.Features.Has(f) }
