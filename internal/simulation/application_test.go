package simulation

import (
	"slices"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/row"
)

// application is who writes to the source: several transactions at a time, which see the gate as anybody does.
type application struct {
	open     []*tx
	versions int
	long     int  // what the survey says of the longest value: batches become small by it
	plain    bool // the target takes no stream of the source's: rows are parsed
}

// tx is one transaction of the application that is under way.
type tx struct {
	*memory.Tx
	number   int
	prepared bool
}

const (
	keys  = 9
	names = 5
)

// rowOf is a new version of a row.
func (a *application) rowOf(t *table, d *decision, key int) [][]byte {
	a.versions++
	var held []byte
	if !d.once(3) {
		held = []byte("n" + strconv.Itoa(d.of(names)))
	}
	if len(a.open) == 0 { // the first rows: none is in another's way
		if held = nil; key < names {
			held = []byte("n" + strconv.Itoa(key))
		}
	}
	version := "v" + strconv.Itoa(a.versions)
	if t.def.Name.Name == "notes" {
		version += " " // what ends in a blank is easily cut
	}
	return [][]byte{keyOf(t, d, key), held, []byte(version)}
}

func keyOf(t *table, d *decision, key int) []byte {
	if t.def.Name.Name != "words" {
		return []byte(strconv.Itoa(key))
	}
	k := "k" + strconv.Itoa(key)
	if d.once(2) {
		k = strings.ToUpper(k)
	}
	return []byte(k)
}

// work is a little of what users do. It does nothing that waits.
func (w *world) work(d *decision) {
	a := &w.app
	if len(a.open) == 0 || len(a.open) < 3 && d.once(4) {
		w.counts.transactions++
		a.open = append(a.open, &tx{Tx: w.source.Begin(), number: w.counts.transactions})
	}
	i := d.of(len(a.open))
	switch d.of(6) {
	case 1:
		w.end(i, d.once(4))
	case 2:
		w.end(i, false)
	case 3:
		if d.once(4) {
			a.open[i].prepared = a.open[i].Prepare() == nil
			w.say("tx %d: prepares", a.open[i].number)
			return
		}
		w.write(a.open[i], d)
	default:
		w.write(a.open[i], d)
	}
}

// end commits or takes back a transaction.
func (w *world) end(i int, back bool) {
	x := w.app.open[i]
	w.app.open = slices.Delete(w.app.open, i, i+1)
	if back {
		x.Rollback()
		w.say("tx %d: rolls back", x.number)
		return
	}
	err := x.Commit()
	w.say("tx %d: commits: %v", x.number, err)
}

// write changes one row, or tries to: a lock, a unique value in the way or the gate is an error that an application lives with.
func (w *world) write(x *tx, d *decision) {
	t := w.tables[d.of(len(w.tables))]
	n, key := t.def.Name, d.of(keys)
	was := row.MakeKey(keyOf(t, d, key))
	var what string
	var err error
	switch kind := d.of(24); {
	case kind == 1, w.habits.empties && d.once(4):
		what, err = "truncates", x.Truncate(n)
	case kind < 8:
		what, err = "inserts", x.Insert(n, w.app.rowOf(t, d, key)...)
	case kind < 11:
		what, err = "deletes", x.Delete(n, was)
	case kind < 13:
		what, err = "deletes by cascade", x.Cascade(n, was)
	case kind < 16:
		what, err = "updates", x.Update(n, was, w.app.rowOf(t, d, key)...)
	case kind < 21:
		what, err = "swaps", w.swap(x, t, d, was)
	default:
		what, err = "changes the key of", x.Update(n, was, w.app.rowOf(t, d, d.of(keys))...)
	}
	w.say("tx %d: %s %s %q: %v", x.number, what, n.Name, was, err)
}

// swap gives a row's unique value to another row, as one transaction can: by way of nobody's.
func (w *world) swap(x *tx, t *table, d *decision, was row.Key) error {
	rows := w.source.Committed(t.def.Name, 0)
	other := row.MakeKey(keyOf(t, d, d.of(keys)))
	a, b := rows[string(was)], rows[string(other)]
	if a == "" || b == "" || a == b {
		return nil
	}
	ac, _ := row.Key(a).Cells()
	bc, _ := row.Key(b).Cells()
	w.app.versions++
	v := []byte("v" + strconv.Itoa(w.app.versions))
	if err := x.Update(t.def.Name, was, ac[0], nil, v); err != nil {
		return err
	}
	if err := x.Update(t.def.Name, other, bc[0], ac[1], v); err != nil {
		return err
	}
	return x.Update(t.def.Name, was, ac[0], bc[1], v)
}
