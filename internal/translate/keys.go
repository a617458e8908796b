package translate

import (
	"cmp"
	"slices"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/check"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// uniques gives the target table its primary key and its unique keys.
func (t *translator) uniques(p *Pair) {
	if k := p.Source.Primary; k != nil {
		p.Target.Primary = t.key(p, k, "primary key")
	}
	for _, k := range p.Source.Uniques {
		if made := t.key(p, k, "unique key"); made != nil {
			p.Target.Uniques = append(p.Target.Uniques, made)
		}
	}
}

// key makes the target's key out of the source's, nil when it can not be made there.
func (t *translator) key(p *Pair, k *schema.Key, what string) *schema.Key {
	made := *k
	made.Columns = slices.Clone(k.Columns)
	t.keys[k] = &made
	derived := p.Target.Name.Name + "_pkey"
	if what != "primary key" {
		derived = deriveName(p, k.Columns, "key")
	}
	if t.same {
		made.Name = t.rename(p, what, indexRoom, k.Name, derived)
		if t.renamed || made.Name != k.Name {
			made.Raw = ""
		}
		t.namesSchema(p, "", what+" "+k.Name, k.Where)
		return &made
	}
	object := what + prefixed(k.Name)
	if why := cmp.Or(t.carriesKey(k), t.condition(p, &made.Where)); why != "" {
		t.find(p, check.Finding{
			Rule: "unique", Level: driver.Lossy, Object: object, Message: "is left out: it " + why,
			Do: "See to it in the application that its values stay unique, or make at the target what comes nearest.",
		})
		delete(t.keys, k)
		return nil
	}
	made.Raw, made.Method = "", ""
	t.parts(p, object, made.Columns)
	t.weaker(p, k, &made, object)
	t.comparesText(p, k, object)
	if what != "primary key" || !t.to.Limits.IndexPerTable {
		made.Name = t.rename(p, what, indexRoom, k.Name, derived)
	}
	return &made
}

func deriveName(p *Pair, parts []schema.Part, end string) string {
	words := []string{p.Target.Name.Name}
	for _, c := range parts {
		words = append(words, cmp.Or(c.Column, "expr"))
	}
	return strings.Join(append(words, end), "_")
}

func prefixed(name string) string {
	if name == "" {
		return ""
	}
	return " " + name
}

// carriesKey says in a clause why the target can not have the key; empty when it can.
func (t *translator) carriesKey(k *schema.Key) string {
	switch {
	case t.same:
	case slices.ContainsFunc(k.Columns, func(c schema.Part) bool { return c.Column == "" }):
		return "has an expression"
	case k.Where != "" && !t.has(driver.PartialIndexes):
		return "has a condition, which the target's keys can not have"
	}
	return ""
}

// condition carries the condition of a partial index in place, and says in a clause why it can not be.
func (t *translator) condition(p *Pair, where *string) string {
	if *where == "" {
		return ""
	}
	done, err := t.carrier(p).carry(*where)
	if err != nil {
		return "has a condition that " + err.Error()
	}
	if done.stricter {
		return "has a condition that compares text otherwise than the target does"
	}
	*where = done.words
	return ""
}

// parts makes the parts of a key or index ones of the target: without what only the source's product has.
func (t *translator) parts(p *Pair, object string, parts []schema.Part) {
	lost := false
	for i := range parts {
		part := &parts[i]
		lost = lost || part.OpClass != "" || part.NullsFirst && !part.Descending
		part.OpClass, part.Collation, part.NullsFirst = "", "", false
	}
	if lost {
		t.find(p, check.Finding{
			Rule: "index-detail", Level: driver.Note, Object: object,
			Message: "loses its operator class or the place of its NULLs", Do: "",
		})
	}
}

// weaker finds what a key refuses at the source and takes at the target, or the other way round.
func (t *translator) weaker(p *Pair, k, made *schema.Key, object string) {
	lose := func(message, do string) {
		t.find(p, check.Finding{Rule: "unique", Level: driver.Lossy, Object: object, Message: message, Do: do})
	}
	if k.NullsEqual && !t.has(driver.NullsEqualKeys) {
		made.NullsEqual = false
		lose("takes several rows with NULL at the target", "See to it in the application, or make the columns NOT NULL.")
	}
	if k.Deferrable && !t.has(driver.DeferrableKeys) {
		made.Deferrable = false
		lose("is checked at once at the target and not at commit",
			"See to it that no transaction of the application counts on the later check.")
	}
	for i := range made.Columns {
		if part := &made.Columns[i]; part.Prefix > 0 && !t.has(driver.PrefixIndexes) {
			part.Prefix = 0
			lose("compares the whole of "+part.Column+" at the target and not only its beginning",
				"Accept it, or shorten the column at the source.")
		}
	}
}

// comparesText finds text in a key that one side compares byte by byte and the other does not.
func (t *translator) comparesText(p *Pair, k *schema.Key, object string) {
	for _, part := range k.Columns {
		source, target := p.Source.Column(part.Column), p.Target.Column(part.Column)
		if source == nil || source.Type.Kind != row.Text || len(source.Type.Values) > 0 {
			continue
		}
		f := check.Finding{Rule: "collation", Level: driver.Lossy, Column: part.Column, Object: object}
		switch {
		case source.Type.Binary == target.Type.Binary && (source.Type.Binary || source.Type.Collation == target.Type.Collation):
			continue
		case target.Type.Binary:
			f.Message = "takes values at the target that differ only in case, accents or blanks at the end"
			f.Do = "See to it in the application, or make a unique index of lower(column) at the target after the move."
		case source.Type.Binary:
			f.Level = driver.Forbidden
			f.Message = "holds values apart that the target may take for one, by case, accents or blanks at the end"
			f.Do = "Give the target a collation that compares bytes."
		default:
			f.Message = "compares text by other rules at the target"
			f.Do = "Look for values that one of the two takes for equal, and accept it."
		}
		t.find(p, f)
	}
}

// indexes gives the target table its other indexes.
func (t *translator) indexes(p *Pair) {
	for _, x := range p.Source.Indexes {
		made := *x
		made.Columns, made.Include = slices.Clone(x.Columns), slices.Clone(x.Include)
		derived := deriveName(p, x.Columns, "idx")
		object := "index " + x.Name
		if t.same {
			made.Name = t.rename(p, "index", indexRoom, x.Name, derived)
			if t.renamed || made.Name != x.Name {
				made.Raw = ""
			}
			t.namesSchema(p, "", object, x.Where)
			p.Target.Indexes = append(p.Target.Indexes, &made)
			continue
		}
		why := cmp.Or(t.carriesIndex(x), t.condition(p, &made.Where))
		if why == "" && ordinary(x.Method) {
			why = t.lengths(p, object, made.Columns)
		}
		if why != "" {
			t.find(p, check.Finding{
				Rule: "index", Level: driver.Lossy, Object: object, Message: "is left out: it " + why,
				Do: "Make at the target what serves the same queries, after the move.",
			})
			continue
		}
		made.Raw = ""
		if ordinary(x.Method) {
			made.Method = ""
		}
		t.parts(p, object, made.Columns)
		if len(x.Include) > 0 && !t.has(driver.IncludeColumns) {
			made.Include = nil
			t.find(p, check.Finding{
				Rule: "index-detail", Level: driver.Note, Object: object, Message: "loses its INCLUDE columns", Do: "",
			})
		}
		made.Name = t.rename(p, "index", indexRoom, x.Name, derived)
		p.Target.Indexes = append(p.Target.Indexes, &made)
	}
}

// ordinary reports whether every product has an index that does what one of this method does.
func ordinary(method string) bool {
	m := strings.ToLower(method)
	return m == "" || m == "btree" || m == "hash"
}

// carriesIndex says in a clause why the target can not have the index; empty when it can.
func (t *translator) carriesIndex(x *schema.Index) string {
	method := strings.ToLower(x.Method)
	switch {
	case t.same:
	case slices.ContainsFunc(x.Columns, func(c schema.Part) bool { return c.Column == "" }):
		return "has an expression"
	case x.Where != "" && !t.has(driver.PartialIndexes):
		return "has a condition, which the target's indexes can not have"
	case ordinary(method):
	case method == "fulltext" && t.has(driver.FullTextIndexes), method == "spatial" && t.has(driver.SpatialIndexes):
	default:
		return "is a " + method + " index, which the target has not"
	}
	return ""
}

// The beginnings of columns that an index takes when a column has no bound: as much as every page format and character
// set of the products that have such indexes allow.
const (
	prefixCharacters = 191
	prefixBytes      = 255
)

// lengths settles how much of its columns an index takes, and says in a clause why it can not be made.
func (t *translator) lengths(p *Pair, object string, parts []schema.Part) string {
	for i := range parts {
		part := &parts[i]
		source, target := p.Source.Column(part.Column), p.Target.Column(part.Column)
		switch {
		case target == nil:
			return "has a column that is not carried"
		case t.prefixed[target] && part.Prefix == 0:
			part.Prefix = prefixCharacters
			if target.Type.Kind == row.Bytes {
				part.Prefix = prefixBytes
			}
			t.find(p, check.Finding{
				Rule: "index-detail", Level: driver.Note, Object: object, Column: part.Column,
				Message: "takes the beginning of the column only, at the target", Do: "",
			})
		case part.Prefix > 0 && t.whole(source):
			part.Prefix = 0
		case part.Prefix > 0 && !t.has(driver.PrefixIndexes):
			return "takes only the beginning of " + part.Column + ", which the target can not, and whole it may be too long"
		case part.Prefix > 0 && !unbounded(target.Type) && target.Type.Kind != row.Text && target.Type.Kind != row.Bytes:
			part.Prefix = 0
		}
	}
	return ""
}

// whole reports whether the target indexes a column whole, whatever its values will be, and better so than by its beginning.
func (t *translator) whole(c *schema.Column) bool {
	long := schema.Type{Kind: row.Text, Binary: true}
	if as, _ := t.dst.Carry(long, true); !unbounded(as) {
		return false // the product's keys are bounded: there a prefix is the usual thing
	}
	most := int64(t.to.Limits.IndexBytes)
	if most == 0 {
		return true
	}
	width := int64(4) // bytes a character may take
	if c.Type.Kind != row.Text {
		width = 1
	}
	return c.Type.Length > 0 && c.Type.Length*width <= most
}
