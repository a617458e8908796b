package translate

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/check"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// mapSchemas decides what each schema of the source is called at the target.
func (t *translator) mapSchemas() {
	t.schemas = map[string]string{}
	var used []string
	for _, table := range t.source.Tables {
		if (t.Moved == nil || t.Moved(table.Name)) && !slices.Contains(used, table.Name.Schema) {
			used = append(used, table.Name.Schema)
		}
	}
	slices.Sort(used)
	into := t.Schema
	if into == "" && len(used) == 1 {
		into = t.to.Schema
	}
	if into == "" && len(used) > 1 && !t.to.Limits.Schemas {
		t.findings = append(t.findings, check.Finding{
			Rule: "schemas", Level: driver.Forbidden, Message: "the target holds one schema, and the tables come from several",
			Detail: strings.Join(used, ", "), Do: "Name one of them in source.schemas, or the one to take them all in target.schema.",
		})
		into = t.to.Schema
	}
	for _, s := range used {
		t.schemas[s] = into
		if into == "" {
			t.schemas[s] = s
		}
		t.useSchema(t.schemas[s])
		t.renamed = t.renamed || t.schemas[s] != s
	}
}

// schemaOf is what the schema of another object than a table is called at the target.
func (t *translator) schemaOf(s string) string {
	if to, known := t.schemas[s]; known {
		return to
	}
	if !t.to.Limits.Schemas || s == t.from.Schema {
		t.schemas[s] = t.to.Schema
	} else {
		t.schemas[s] = s
	}
	t.useSchema(t.schemas[s])
	return t.schemas[s]
}

func (t *translator) useSchema(s string) {
	if s != t.to.Schema && t.to.Limits.Schemas && !slices.Contains(t.plan.Schemas, s) {
		t.plan.Schemas = append(t.plan.Schemas, s)
		if why := t.names.unfit(s); why != "" {
			t.findings = append(t.findings, check.Finding{
				Rule: "name", Level: driver.Forbidden, Object: "schema " + s, Message: why,
				Do: "Give it another name at the source, or name a schema in target.schema.",
			})
		}
	}
}

// nameTables finds tables and columns whose names the target can not have or can not tell apart. Such a name is the
// application's, so that nobody but the operator can change it.
func (t *translator) nameTables() {
	const mend = "Rename it at the source, or skip the table."
	for _, p := range t.plan.Pairs {
		why := t.names.unfit(p.Target.Name.Name)
		if reserved := t.to.Limits.Reserved; why == "" && reserved != "" {
			if n := p.Target.Name.Name; len(n) >= len(reserved) && strings.EqualFold(n[:len(reserved)], reserved) {
				why = "begins with " + reserved + ", which the target keeps for itself"
			}
		}
		if why == "" && !t.names.takeTable(p.Target.Name) {
			why = "has the same name as another table, as the target compares names"
		}
		if why != "" {
			t.find(p, check.Finding{Rule: "name", Level: driver.Forbidden, Message: why, Do: mend})
		}
		seen := map[string]bool{}
		for _, c := range p.Source.Columns {
			why := t.names.unfit(c.Name)
			if fold := t.names.foldColumn(c.Name); why == "" && seen[fold] {
				why = "has the same name as another column, as the target compares names"
			} else {
				seen[fold] = true
			}
			if why != "" {
				t.find(p, check.Finding{Rule: "name", Level: driver.Forbidden, Column: c.Name, Message: why, Do: mend})
			}
		}
	}
}

// names knows which names the target can have and which are taken.
type names struct {
	limits    driver.Limits
	relations map[schema.Name]bool // tables, and indexes where these share their names' room
	others    map[string]bool      // constraints and indexes, by the room that must tell them apart
}

func newNames(l driver.Limits) *names {
	return &names{limits: l, relations: map[schema.Name]bool{}, others: map[string]bool{}}
}

func (n *names) foldColumn(s string) string {
	if n.limits.FoldColumns {
		return strings.ToLower(s)
	}
	return s
}

// unfit says in a clause why the target can not have the name; empty when it can.
func (n *names) unfit(name string) string {
	switch {
	case name == "":
		return "has an empty name, which the target can not have"
	case !utf8.ValidString(name) || strings.ContainsRune(name, 0):
		return "has a name that is not text"
	case n.limits.NarrowNames && strings.ContainsFunc(name, func(r rune) bool { return r > 0xFFFF }):
		return "has a character in its name that the target's names can not have"
	case n.limits.NarrowNames && strings.HasSuffix(name, " "):
		return "has a name that ends in a blank, which the target can not have"
	case n.long(name):
		unit := "characters"
		if n.limits.NameBytes {
			unit = "bytes"
		}
		return fmt.Sprintf("has a name longer than the target's %d %s", n.limits.Name, unit)
	}
	return ""
}

func (n *names) long(name string) bool {
	size := utf8.RuneCountInString(name)
	if n.limits.NameBytes {
		size = len(name)
	}
	return n.limits.Name > 0 && size > n.limits.Name
}

func (n *names) takeTable(name schema.Name) bool {
	if n.limits.FoldTables {
		name = schema.Name{Schema: strings.ToLower(name.Schema), Name: strings.ToLower(name.Name)}
	}
	if n.relations[name] {
		return false
	}
	n.relations[name] = true
	return true
}

// take gives an index or a constraint a name that fits and is free in its room: the wanted one, or the table's name before
// it, or a shortened one that ends in a digest of what it stands for. The same source gives the same names every time.
func (n *names) take(table schema.Name, room, wanted string) string {
	clean := n.clean(wanted)
	digest := func(i int) string {
		sum := row.Seed(uint64(i)).Digest([]byte(room + "\x00" + table.String() + "\x00" + wanted))
		return hex.EncodeToString(sum[:4])
	}
	for _, candidate := range []string{clean, n.clean(table.Name + "_" + wanted)} {
		if name := n.short(candidate, digest(0)); n.free(table, room, name) {
			return name
		}
	}
	for i := 0; ; i++ {
		if name := n.short(clean+"_"+digest(i), digest(i)); n.free(table, room, name) {
			return name
		}
	}
}

// clean takes away what the target's names can not have.
func (n *names) clean(name string) string {
	name = strings.Map(func(r rune) rune {
		if r == 0 || r == utf8.RuneError || n.limits.NarrowNames && r > 0xFFFF {
			return '_'
		}
		return r
	}, name)
	if reserved := n.limits.Reserved; reserved != "" && len(name) >= len(reserved) && strings.EqualFold(name[:len(reserved)], reserved) {
		name = name[len(reserved):]
	}
	if n.limits.NarrowNames {
		name = strings.TrimRight(name, " ")
	}
	if name == "" {
		return "_"
	}
	return name
}

// short cuts a name that is too long and puts the digest at its end.
func (n *names) short(name, digest string) string {
	if !n.long(name) {
		return name
	}
	for name != "" && n.long(strings.TrimRight(name, "_")+"_"+digest) {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return strings.TrimRight(name, "_") + "_" + digest
}

func (n *names) free(table schema.Name, room, name string) bool {
	if room == indexRoom && !n.limits.IndexPerTable {
		return n.takeTable(schema.Name{Schema: table.Schema, Name: name})
	}
	key := room + "\x00" + table.Schema + "\x00" + n.foldColumn(name)
	if room == indexRoom {
		key += "\x00" + table.Name
	}
	if n.others[key] {
		return false
	}
	n.others[key] = true
	return true
}

// The rooms in which names must differ. Foreign keys and checks are kept apart in a whole schema: some products ask for it,
// and the others do not mind.
const (
	indexRoom      = "index"
	constraintRoom = "constraint"
)

// rename gives an index or constraint its name at the target and tells when it is another one. Between databases of one
// product names stay, unless two schemas became one.
func (t *translator) rename(p *Pair, what, room, old, derived string) string {
	if t.same && !t.merged() {
		return old
	}
	wanted := old
	if wanted == "" || strings.EqualFold(wanted, "primary") {
		wanted = derived
	}
	name := t.names.take(p.Target.Name, room, wanted)
	if name != wanted {
		t.find(p, check.Finding{
			Rule: "renamed", Level: driver.Note, Object: what + " " + wanted, Message: "gets another name at the target",
			Detail: name, Do: "",
		})
	}
	return name
}

// merged reports whether several schemas became one.
func (t *translator) merged() bool {
	seen := map[string]bool{}
	for _, to := range t.schemas {
		if seen[to] {
			return true
		}
		seen[to] = true
	}
	return false
}
