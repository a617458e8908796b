package memory

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// table is one table with what hangs on it.
type table struct {
	id      int64
	def     *schema.Table
	rows    *space
	keys    []*index  // the unique keys, the primary key among them
	records []*record // by number: a table is recorded for each that is made of its rows
	shut    bool      // the gate
	guarded bool
	raised  int              // how often the guard was put up
	next    map[string]int64 // generators, by column
	dated   int64            // changes of its definition and its triggers
	made    int64            // how many records were made
}

// index is one unique key. Entries may be stale; find looks at the items themselves.
type index struct {
	key     *schema.Key
	columns []int
	kinds   []schema.Type
	at      map[string][]*item
}

// folded is the collation that holds texts equal which differ in case or in trailing blanks only.
const folded = "folded"

func (s *Server) table(n schema.Name) (*table, error) {
	for _, t := range s.tables {
		if t.def.Name == n {
			return t, nil
		}
	}
	return nil, failf(driver.Missing, "no table %s", n)
}

// places returns where the named columns stand in the table.
func (t *table) placesOf(names []string) ([]int, error) {
	var at []int
	for _, n := range names {
		i := slices.IndexFunc(t.def.Columns, func(c *schema.Column) bool { return c.Name == n })
		if i < 0 {
			return nil, failf(driver.Missing, "no column %s in %s", n, t.def.Name)
		}
		at = append(at, i)
	}
	return at, nil
}

func (t *table) build(k *schema.Key, primary bool) error {
	names := k.Names()
	if len(names) == 0 || k.Where != "" {
		return failf(driver.BadData, "key %s of %s has an expression, a prefix or a condition", k.Name, t.def.Name)
	}
	columns, err := t.placesOf(names)
	if err != nil {
		return err
	}
	x := &index{key: k, columns: columns}
	for _, c := range columns {
		x.kinds = append(x.kinds, t.def.Columns[c].Type)
	}
	if primary {
		for _, c := range columns {
			t.def.Columns[c].Null = false
		}
	}
	x.fill(t.rows)
	for _, items := range x.at {
		if len(items) > 1 {
			return failf(driver.Conflict, "rows of %s share a value of key %s", t.def.Name, k.Name)
		}
	}
	t.keys = append(t.keys, x)
	return nil
}

func (x *index) fill(rows *space) {
	x.at = map[string][]*item{}
	for _, it := range rows.items {
		for _, v := range []*string{it.now, it.next} {
			if v != nil {
				x.note(it, *v)
			}
		}
	}
}

func (t *table) reindex() {
	for _, x := range t.keys {
		x.fill(t.rows)
	}
}

// value is the key of a row as the index compares it; false when the row is not in the index.
func (x *index) value(run string) (string, bool) {
	cells, _ := row.Key(run).Cells()
	var v []byte
	for i, c := range x.columns {
		if cells[c] == nil && !x.key.NullsEqual {
			return "", false
		}
		v = append(v, row.MakeKey(fold(x.kinds[i], cells[c]))...)
	}
	return string(v), true
}

func (x *index) note(it *item, run string) {
	if v, ok := x.value(run); ok && !slices.Contains(x.at[v], it) {
		x.at[v] = append(x.at[v], it)
	}
}

// find returns the items that hold a value, in whatever version.
func (x *index) find(v string) []*item {
	items := slices.DeleteFunc(x.at[v], func(it *item) bool { return !x.holds(it.now, v) && !x.holds(it.next, v) })
	if len(items) == 0 {
		delete(x.at, v)
		return nil
	}
	x.at[v] = items
	return items
}

func (x *index) holds(run *string, v string) bool {
	if run == nil {
		return false
	}
	has, ok := x.value(*run)
	return ok && has == v
}

// clashes returns the items that stand in a row's way, except itself; a lock of another session is an error.
func (t *table) clashes(e *session, self *item, run string) ([]*item, error) {
	var found []*item
	for _, x := range t.keys {
		v, ok := x.value(run)
		if !ok {
			continue
		}
		for _, it := range x.find(v) {
			switch {
			case it == self:
			case it.owner != nil && it.owner != e:
				return nil, e.locked(it.owner)
			case x.holds(it.seen(e), v) && !slices.Contains(found, it):
				found = append(found, it)
			}
		}
	}
	return found, nil
}

// write puts one row, new when it is nil. A unique value that another row has is a Conflict.
func (t *table) write(e *session, it *item, run string) error {
	if err := t.check(run); err != nil {
		return err
	}
	inTheWay, err := t.clashes(e, it, run)
	if err != nil {
		return err
	}
	if len(inTheWay) > 0 {
		return failf(driver.Conflict, "%s has a row with this key", t.def.Name)
	}
	if it == nil {
		it, err = e.add(t.rows, "", run)
	} else {
		err = e.set(it, &run)
	}
	if err != nil {
		return err
	}
	for _, x := range t.keys {
		x.note(it, run)
	}
	return nil
}

func (t *table) check(run string) error {
	cells, err := row.Key(run).Cells()
	if err != nil || len(cells) != len(t.def.Columns) {
		return failf(driver.BadData, "%d cells for %d columns of %s", len(cells), len(t.def.Columns), t.def.Name)
	}
	for i, c := range t.def.Columns {
		if cells[i] == nil && !c.Null {
			return failf(driver.BadData, "NULL in column %s of %s", c.Name, t.def.Name)
		}
		if n := c.Type.Length; c.Type.Kind == row.Text && n > 0 && int64(len([]rune(string(cells[i])))) > n {
			return failf(driver.BadData, "value too long for column %s of %s", c.Name, t.def.Name)
		}
	}
	return nil
}

// compare orders two keys as this database does.
func compare(types []schema.Type, a, b [][]byte) int {
	for i := range a {
		if c := compareCell(types[i], a[i], b[i]); c != 0 {
			return c
		}
	}
	return 0
}

func compareCell(t schema.Type, a, b []byte) int {
	switch {
	case a == nil || b == nil:
		return cmp.Compare(btoi(a != nil), btoi(b != nil))
	case t.Kind == row.Int || t.Kind == row.Decimal:
		return compareNumber(string(a), string(b))
	case t.Kind == row.Float32 || t.Kind == row.Float64:
		x, _ := strconv.ParseFloat(string(a), 64)
		y, _ := strconv.ParseFloat(string(b), 64)
		return cmp.Compare(x, y)
	}
	return bytes.Compare(fold(t, a), fold(t, b))
}

// compareNumber orders plain decimal numbers of any size; NaN and the infinities stand at the ends.
func compareNumber(a, b string) int {
	if c := cmp.Compare(rank(a), rank(b)); c != 0 || rank(a) == 0 || rank(a) == 4 {
		return c
	}
	sign := 1
	if a[0] == '-' {
		sign = -1
	}
	ai, af, _ := strings.Cut(strings.TrimLeft(a, "-0"), ".")
	bi, bf, _ := strings.Cut(strings.TrimLeft(b, "-0"), ".")
	if c := cmp.Compare(len(ai), len(bi)); c != 0 {
		return sign * c
	}
	if c := cmp.Compare(ai, bi); c != 0 {
		return sign * c
	}
	return sign * cmp.Compare(strings.TrimRight(af, "0"), strings.TrimRight(bf, "0"))
}

func rank(n string) int {
	switch {
	case n == "-Infinity":
		return 0
	case n == "Infinity" || n == "NaN":
		return 4
	case strings.Trim(n, "-0.") == "":
		return 2
	case n[0] == '-':
		return 1
	}
	return 3
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func fold(t schema.Type, cell []byte) []byte {
	if t.Collation != folded || cell == nil {
		return cell
	}
	return []byte(strings.ToLower(strings.TrimRight(string(cell), " ")))
}

// clone copies a definition, so that nobody outside holds ours.
func clone(t *schema.Table) *schema.Table {
	text, err := json.Marshal(t)
	if err != nil {
		panic(err)
	}
	c := new(schema.Table)
	if err := json.Unmarshal(text, c); err != nil {
		panic(err)
	}
	return c
}
