package sqlite

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
)

// TestOnlyKey: the short way of a replay is for tables in which nothing but a row's own key can be in its way.
func TestOnlyKey(t *testing.T) {
	for _, c := range []struct {
		sql  string
		want bool
	}{
		{"CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, v)", true},
		{"CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, v)", true},
		{"CREATE TABLE t (a INT NOT NULL, b TEXT NOT NULL, v, PRIMARY KEY (b, a)) WITHOUT ROWID", true},
		{"CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, v); CREATE INDEX i ON t (v)", true},
		{"CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL COLLATE NOCASE, v)", false},
		{"CREATE TABLE t (a INT NOT NULL, b TEXT NOT NULL COLLATE RTRIM, v, PRIMARY KEY (a, b))", false},
		{"CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, v UNIQUE)", false},
		{"CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, v); CREATE UNIQUE INDEX i ON t (v)", false},
		{"CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, v); CREATE UNIQUE INDEX i ON t (abs(v)) WHERE v > 0", false},
		{"CREATE TABLE t (v, id TEXT NOT NULL UNIQUE)", false},
		{"CREATE TABLE t (v INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE)", false},
	} {
		d := openAt(t, newFile(t, c.sql), driver.Source)
		table, sh := shaped(t, d, "t", 1)
		in := testDatabase(t, d)
		err := in.read(t.Context(), in.control, func(s *session) error {
			keys := keyColumns(columnsOf(sh), sh.Key)
			if got, err := s.onlyKey(table, keys); err != nil || got != c.want {
				t.Errorf("%s: %t, %v", c.sql, got, err)
			}
			slices.Reverse(keys)
			if got, err := s.onlyKey(table, keys); err != nil || len(keys) > 1 && got {
				t.Errorf("%s, another order: %t, %v", c.sql, got, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		d.Close()
	}
}

// TestImagesInAnyOrder: images need not come in the order of the keys, and a key may have none; the target is the same.
func TestImagesInAnyOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, sql := range []string{
		"CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, v INTEGER)", "CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL COLLATE NOCASE, v INTEGER UNIQUE)",
		"CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, v INTEGER) WITHOUT ROWID",
	} {
		p := newTwins(t, newFile(t, sql+"; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) INSERT INTO t SELECT i, i FROM n"), "t")
		want := map[string]string{}
		for i := 1; i <= 200; i++ {
			want[fmt.Sprint(i)] = fmt.Sprint(i)
		}
		for number := int64(1); number <= 6; number++ {
			keys, images := row.NewBatch(1), row.NewBatch(2)
			var changed, kept []string
			for _, n := range r.Perm(300)[:80] {
				key := fmt.Sprint(n + 1)
				changed = append(changed, key)
				delete(want, key)
				if r.IntN(3) > 0 {
					kept = append(kept, key)
					want[key] = fmt.Sprint(int64(n+1) + 1000*number)
				}
			}
			if number%2 == 0 {
				r.Shuffle(len(kept), func(i, j int) { kept[i], kept[j] = kept[j], kept[i] })
			}
			for _, key := range changed {
				keys.AppendString(key)
			}
			for _, key := range kept {
				images.AppendString(key)
				images.AppendString(want[key])
			}
			p.check(p.target.Applier.Apply(t.Context(), driver.Delta{
				Table: p.tt, Shape: p.ts, Epoch: p.epoch, Number: number, Keys: keys, Images: images, Note: true,
			}))
			var rows []string
			for key, v := range want {
				rows = append(rows, key+"="+v)
			}
			slices.Sort(rows)
			c, err := p.target.Reader.Read(t.Context(), driver.Query{Table: p.tt, Shape: p.ts})
			p.check(err)
			b := row.NewBatch(2)
			_ = c.Fill(t.Context(), b)
			var found []string
			for i := range b.Len() {
				found = append(found, string(b.Cell(i, 0))+"="+string(b.Cell(i, 1)))
			}
			p.check(c.Close())
			if slices.Sort(found); !slices.Equal(found, rows) {
				t.Fatalf("%s, batch %d: %s, want %s", sql, number, strings.Join(found, " "), strings.Join(rows, " "))
			}
		}
	}
}

// TestTakeBeyond: a batch taken behind one that is under way has what stands behind it, and nothing of it; each is forgotten by
// itself, and what was noted meanwhile stays.
func TestTakeBeyond(t *testing.T) {
	path := newFile(t, "CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, v INTEGER)")
	d := openAt(t, path, driver.Source)
	defer d.Close()
	table, sh := shaped(t, d, "t", 1)
	if err := d.Capturer.Install(t.Context(), table, sh, driver.Wait{}); err != nil {
		t.Fatal(err)
	}
	app := connectApp(t, path)
	defer app.Close()
	app.must(t, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50) INSERT INTO t SELECT i, i FROM n")
	take := func(beyond driver.Receipt) (driver.Receipt, []string) {
		t.Helper()
		keys, images := row.NewBatch(1), row.NewBatch(2)
		r, err := d.Recorder.Take(t.Context(), driver.Want{Table: table, Shape: sh, Lanes: 1, Most: 20, Beyond: beyond}, keys, images)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for i := range images.Len() {
			all = append(all, string(images.Cell(i, 0))+"="+string(images.Cell(i, 1)))
		}
		return r, all
	}
	first, one := take(nil)
	app.must(t, "UPDATE t SET v = v + 100 WHERE id IN (1, 30)") // one key that is under way and one that is not
	second, two := take(first)
	if len(one) != 20 || one[0] != "1=1" || len(two) != 20 || two[0] != "21=21" || two[9] != "30=130" {
		t.Fatal(one, two)
	}
	for n, r := range []driver.Receipt{first, second} {
		if err := r.Forget(t.Context(), int64(n+1)); err != nil {
			t.Fatal(err)
		}
		if err := r.Forget(t.Context(), int64(n+1)); err == nil {
			t.Error("forgotten twice")
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	last, rest := take(nil)
	if len(rest) != 12 || rest[0] != "41=41" || rest[10] != "1=101" || rest[11] != "30=130" {
		t.Error(rest)
	}
	if err := last.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestKeySet: a key is added once, however many there are.
func TestKeySet(t *testing.T) {
	keys := row.NewBatch(1)
	set := keySet{keys: keys}
	for i := range 20_000 {
		at := keys.Len()
		keys.AppendString(fmt.Sprint(i % 7_000))
		if added := set.add(at); added != (i < 7_000) {
			t.Fatalf("key %d: %t", i, added)
		}
		if i >= 7_000 {
			keys.Truncate(at)
		}
	}
}
