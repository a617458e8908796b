package translate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/check"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// checks gives the target table its checks, those of its columns' enums and domains included.
func (t *translator) checks(p *Pair) {
	for i, k := range p.Source.Checks {
		made := *k
		if t.same {
			made.Name = t.rename(p, "check", constraintRoom, k.Name, fmt.Sprintf("%s_check_%d", p.Target.Name.Name, i+1))
			t.namesSchema(p, "", "check "+k.Name, k.Expression)
			p.Target.Checks = append(p.Target.Checks, &made)
			continue
		}
		t.foreignCheck(p, t.carrier(p), &made, fmt.Sprintf("%s_check_%d", p.Target.Name.Name, i+1))
	}
	if t.same {
		return
	}
	for i, c := range p.Source.Columns {
		t.values(p, c, p.Target.Columns[i])
		t.domain(p, c, p.Target.Columns[i])
	}
}

// foreignCheck adds a check in the target's words, or finds that it can not be carried.
func (t *translator) foreignCheck(p *Pair, c *carrier, made *schema.Check, derived string) {
	object := "check" + prefixed(made.Name)
	done, err := c.carry(made.Expression)
	for _, column := range p.Target.Columns {
		if err == nil && t.to.Limits.PlainChecks && column.Identity.Kind != schema.None && slices.Contains(done.columns, column.Name) {
			err = fmt.Errorf("names %s, which draws its values from a generator", column.Name)
		}
	}
	if err != nil {
		t.find(p, check.Finding{
			Rule: "check", Level: driver.Lossy, Object: object, Message: "is left out: it " + err.Error(),
			Detail: brief(made.Expression), Do: "Write it for the target and add it after the move, or accept that it is gone.",
		})
		return
	}
	if done.implied {
		return
	}
	if done.stricter {
		t.find(p, check.Finding{
			Rule: "check-collation", Level: driver.Note, Object: object,
			Message: "compares text byte by byte on one side only",
			Detail:  brief(made.Expression), Do: "See to it that no row depends on case, accents or blanks at the end.",
		})
	}
	made.Expression = done.words
	made.Name = t.rename(p, "check", constraintRoom, made.Name, derived)
	p.Target.Checks = append(p.Target.Checks, made)
}

// brief cuts an expression that is too long for one line.
func brief(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 80 {
		return string(r[:79]) + "…"
	}
	return s
}

// values keeps an enum's values as a check where the target's type does not know them.
func (t *translator) values(p *Pair, c, made *schema.Column) {
	if len(c.Type.Values) == 0 || len(made.Type.Values) > 0 || made.Type.Kind != row.Text {
		return
	}
	f := check.Finding{Rule: "enum", Level: driver.Note, Column: c.Name}
	bad := slices.ContainsFunc(t.Facts.Of(p.Source.Name, c.Name), func(f driver.Fact) bool {
		return f.What == driver.BadEnum && f.Count > 0
	})
	switch {
	case c.Type.Set:
		f.Message, f.Do = "takes any text at the target, where no type knows the values of a set", ""
	case bad:
		f.Level, f.Message = driver.Lossy, "holds values that are none of its enum's, and takes any text at the target"
		f.Do = "Mend the rows at the source first, or accept it."
	default:
		items := make([]string, 0, len(c.Type.Values))
		for _, v := range c.Type.Values {
			items = append(items, "'"+strings.ReplaceAll(v, "'", "''")+"'")
		}
		if strings.ContainsAny(strings.Join(items, ""), "\\\x00") {
			f.Message = "takes any text at the target: its values have a backslash"
			break
		}
		name := t.rename(p, "check", constraintRoom, "", p.Target.Name.Name+"_"+c.Name+"_values")
		p.Target.Checks = append(p.Target.Checks, &schema.Check{
			Name: name, Expression: t.dst.Quote(c.Name) + " IN (" + strings.Join(items, ", ") + ")",
		})
		return
	}
	t.find(p, f)
}

// domain puts the rules of a domain on its columns.
func (t *translator) domain(p *Pair, c, made *schema.Column) {
	i := slices.IndexFunc(t.source.Types, func(d *schema.TypeDef) bool { return d.Name == c.Type.Def && d.What == "domain" })
	if i < 0 {
		return
	}
	d := t.source.Types[i]
	made.Null = made.Null && d.Null
	for n, k := range d.Checks {
		one, carrier := *k, t.carrier(p)
		carrier.bare = c.Name
		derived := fmt.Sprintf("%s_%s_check_%d", p.Target.Name.Name, c.Name, n+1)
		if one.Name != "" {
			one.Name = p.Target.Name.Name + "_" + c.Name + "_" + one.Name
		}
		t.foreignCheck(p, carrier, &one, derived)
	}
}

// carrier carries expressions of one pair's table.
func (t *translator) carrier(p *Pair) *carrier {
	enums := map[string]bool{}
	for _, d := range t.source.Types {
		enums[d.Name.Name] = d.What == "enum"
	}
	return &carrier{source: p.Source, target: p.Target, quote: t.dst.Quote, enums: enums}
}
