package postgres

import (
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
)

// TestRowsOfAWholeTableAreFrozen where its size is worth a new file, and nothing is in it, and nothing points to it; what
// is there stays.
func TestRowsOfAWholeTableAreFrozen(t *testing.T) {
	p := pair(t, `CREATE TABLE large (id integer); CREATE TABLE small (id integer); CREATE TABLE held (id integer); INSERT INTO held VALUES (0);
		CREATE TABLE parent (id integer PRIMARY KEY); CREATE TABLE child (id integer REFERENCES parent);
		CREATE TABLE parts (id integer) PARTITION BY HASH (id); CREATE TABLE parts1 PARTITION OF parts FOR VALUES WITH (MODULUS 1, REMAINDER 0)`)
	for i, c := range []struct {
		name   string
		bytes  int64
		frozen bool
		rows   string
	}{
		{"large", 2 << 20, true, "1"},
		{"large", -1, false, "1;1"}, // the range before this one is in the ledger
		{"small", 100, false, "1"},
		{"held", -1, false, "0;1"},
		{"parent", -1, false, "1"},
		{"child", -1, true, "1"},
		{"parts", -1, false, "1"},
	} {
		table := tableOf(t, p.target, c.name)
		table.Bytes = c.bytes
		const file = "SELECT relfilenode FROM pg_class WHERE relname = "
		before := p.there.ask(file + literal(c.name))
		b := row.NewBatch(1)
		b.AppendString("1")
		in := driver.Intake{Table: table, Shape: shapeOf(table), Range: row.Range{Number: i + 1}, Epoch: p.epoch, Sole: true}
		if err := loadRange(t, p.target.Loader, in, b); err != nil {
			t.Fatal(c.name, err)
		}
		if frozen := p.there.ask(file+literal(c.name)) != before; frozen != c.frozen {
			t.Errorf("%s of %d bytes: frozen %t", c.name, c.bytes, frozen)
		}
		if got := p.there.ask("SELECT id FROM " + c.name + " ORDER BY 1"); got != c.rows {
			t.Errorf("%s holds %s", c.name, strings.ReplaceAll(got, ";", ", "))
		}
	}
}
