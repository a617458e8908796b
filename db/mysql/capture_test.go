package mysql

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/driver/drivertest"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

func (s *side) install(t *schema.Table) schema.Shape {
	s.t.Helper()
	shape := shapeOf(t)
	for range 2 {
		if err := s.Capturer.Install(s.ctx, t, shape, brief); err != nil {
			s.t.Fatal(err)
		}
	}
	return shape
}

// taken takes and forgets everything, and returns the keys in order.
func (s *side) taken(t *schema.Table, shape schema.Shape, number int64) []string {
	s.t.Helper()
	keys, images := row.NewBatch(len(shape.Key)), row.NewBatch(shape.Width())
	r, err := s.Recorder.Take(s.ctx, driver.Want{Table: t, Shape: shape, Lanes: 1, Most: 1000}, keys, images)
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Close()
	if err := r.Durable(s.ctx, number); err != nil {
		s.t.Fatal(err)
	}
	if err := r.Forget(s.ctx, number); err != nil {
		s.t.Fatal(err)
	}
	all := show(keys)
	slices.Sort(all)
	return all
}

// TestEveryKindOfWriteIsRecorded runs each way to change rows and looks at the keys noted.
func TestEveryKindOfWriteIsRecorded(t *testing.T) {
	s := source(t)
	s.do("CREATE TABLE w (id INT PRIMARY KEY AUTO_INCREMENT, u INT UNIQUE, v VARCHAR(20))", "CREATE TABLE other (id INT PRIMARY KEY, v VARCHAR(20))",
		"INSERT INTO w VALUES (1,1,'a'),(2,2,'b'),(3,3,'c')", "INSERT INTO other VALUES (1,'x'),(3,'y')")
	tb := s.inspect("w")
	shape := s.install(tb)
	a := s.app()
	for i, c := range []struct{ sql, keys string }{
		{"INSERT INTO w VALUES (4,4,'d'),(5,5,'e')", "4 5"},
		{"INSERT INTO w (u,v) VALUES (6,'f')", "6"},
		{"UPDATE w SET v = 'z' WHERE id IN (1,2)", "1 2"},
		{"UPDATE w SET v = v", "1 2 3 4 5 6"},
		{"REPLACE INTO w VALUES (1,1,'r')", "1"},
		{"REPLACE INTO w VALUES (7,2,'displaces 2 by u')", "2 7"},
		{"INSERT INTO w VALUES (3,30,'x') ON DUPLICATE KEY UPDATE v='dup'", "3"},
		{"INSERT INTO w VALUES (99,3,'x') ON DUPLICATE KEY UPDATE v='dup by u'", "3"},
		{"INSERT IGNORE INTO w VALUES (3,3,'x'),(8,8,'new')", "8"},
		{"UPDATE w JOIN other USING (id) SET w.v = other.v, other.v = 'q'", "1 3"},
		{"DELETE w FROM w JOIN other USING (id) WHERE other.id = 3", "3"},
		{"UPDATE w SET id = id + 1 ORDER BY id DESC", "1 2 4 5 6 7 8 9"},
		{"UPDATE w SET id = 100 WHERE id = 2", "100 2"},
		{"DELETE FROM w WHERE id = 100", "100"},
		{"INSERT INTO w (id,u) SELECT id + 200, id + 200 FROM other", "201 203"},
		{"BEGIN; DELETE FROM w; ROLLBACK", ""},
		{"BEGIN; UPDATE w SET u = -1 WHERE u = 201; UPDATE w SET u = 201 WHERE u = 203; UPDATE w SET u = 203 WHERE u = -1; COMMIT", "201 203"},
		{"BEGIN; SAVEPOINT a; DELETE FROM w WHERE id = 201; ROLLBACK TO a; UPDATE w SET v='k' WHERE id = 203; COMMIT", "203"},
	} {
		for sql := range strings.SplitSeq(c.sql, "; ") {
			a.do(sql)
		}
		want := strings.Fields(c.keys)
		slices.Sort(want)
		same(t, c.sql, s.taken(tb, shape, int64(i+1)), want)
	}
	if n, err := s.Recorder.Numbers(s.ctx, tb, 0); err != nil || n != (driver.Numbers{Promised: 18, Forgotten: 18}) {
		t.Fatal(n, err)
	}
	if b, err := s.Recorder.Backlog(s.ctx, tb); err != nil || b.Entries != 0 || b.Oldest != 0 {
		t.Fatal(b, err)
	}
	if a.text("SELECT LAST_INSERT_ID()") != "6" {
		t.Fatal("LAST_INSERT_ID was changed by a trigger")
	}
}

// TestKeysThatACollationFindsEqual changes only the case of a key: both spellings are noted, and the row is found under
// the new one only.
func TestKeysThatACollationFindsEqual(t *testing.T) {
	s := source(t)
	s.do("CREATE TABLE c (k VARCHAR(20) COLLATE utf8mb4_general_ci PRIMARY KEY, v INT)", "INSERT INTO c VALUES ('abc', 1)")
	tb := s.inspect("c")
	shape := s.install(tb)
	s.app().do("UPDATE c SET k = 'ABC'")
	keys, images := row.NewBatch(1), row.NewBatch(2)
	r, err := s.Recorder.Take(s.ctx, driver.Want{Table: tb, Shape: shape, Lanes: 1, Most: 10, Also: batch(1, []string{"aBc"}, []string{"ABC"})}, keys, images)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := show(keys)
	slices.Sort(got)
	same(t, "keys", got, []string{"ABC", "aBc", "abc"})
	same(t, "rows", show(images), []string{"ABC|1"})
	if r.Entries() != 2 {
		t.Fatal(r.Entries())
	}
	same(t, "by key", s.read(driver.Query{Table: tb, Shape: shape, Keys: batch(1, []string{"abc"}, []string{"ABC"}, []string{"abC"})}), []string{"ABC|1"})
	same(t, "by another's key", s.read(driver.Query{Table: tb, Shape: shape, Keys: batch(1, []string{"abc"})}), nil)
}

// TestLanesShareTheRecord: each entry is in exactly one lane, and all entries of a key in one.
func TestLanesShareTheRecord(t *testing.T) {
	s := source(t)
	s.do("CREATE TABLE l (id INT, k VARCHAR(9), v INT, PRIMARY KEY (id, k))")
	tb := s.inspect("l")
	shape := s.install(tb)
	a := s.app()
	for i := range 40 {
		a.do(fmt.Sprintf("INSERT INTO l VALUES (%d, 'k%d', 0)", i, i%7), fmt.Sprintf("UPDATE l SET v = 1 WHERE id = %d", i))
	}
	seen := map[string]int{}
	entries := 0
	for lane := range 3 {
		keys, images := row.NewBatch(2), row.NewBatch(3)
		r, err := s.Recorder.Take(s.ctx, driver.Want{Table: tb, Shape: shape, Lane: lane, Lanes: 3, Most: 1000}, keys, images)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range show(keys) {
			seen[k]++
		}
		entries += r.Entries()
		_ = r.Close()
	}
	if len(seen) != 40 || entries != 80 {
		t.Fatal(len(seen), entries)
	}
	for k, n := range seen {
		if n != 1 {
			t.Fatalf("%s is in %d lanes", k, n)
		}
	}
}

// TestChangesOfEveryKeyTypeAreFound records and reads rows by keys of every type a key can have.
func TestChangesOfEveryKeyTypeAreFound(t *testing.T) {
	s := source(t)
	for i, c := range []struct{ typ, value string }{
		{"BIGINT UNSIGNED", "18446744073709551615"},
		{"DECIMAL(20,5)", "-1.50000"},
		{"VARCHAR(20) CHARACTER SET latin1", "ü'\\"},
		{"CHAR(5)", "ab"},
		{"BINARY(4)", "a\x00\x00\x00"},
		{"VARBINARY(9)", "\x00'\\\xff"},
		{"DATE", "0000-00-00"},
		{"DATETIME(6)", "2024-01-02 03:04:05.000006"},
		{"TIMESTAMP(3)", "2024-01-02 03:04:05.5"},
		{"TIME(2)", "-12:00:00.25"},
		{"YEAR", "0"},
		{"ENUM('b','a')", "a"},
		{"SET('x','y')", "x,y"},
		{"BIT(9)", "100000001"},
		{"UUID", "123e4567-e89b-12d3-a456-426614174000"},
		{"INET6", "::1"},
		{"VARCHAR(9) CHARACTER SET utf16", "😀"},
		{"TINYINT(1)", "5"},
	} {
		name := fmt.Sprintf("k%d", i)
		s.do("CREATE TABLE " + name + " (k " + c.typ + " NOT NULL PRIMARY KEY, v INT)")
		tb := s.inspect(name)
		tb.Number = i + 1
		shape := s.install(tb)
		app := s.app()
		app.do("SET sql_mode=''", "INSERT INTO "+name+" VALUES ("+string(appendLiteral(nil, tb.Columns[0].Type, []byte(c.value)))+", 1)")
		keys, images := row.NewBatch(1), row.NewBatch(2)
		r, err := s.Recorder.Take(s.ctx, driver.Want{Table: tb, Shape: shape, Lanes: 1, Most: 10, Also: batch(1, []string{c.value})}, keys, images)
		if err != nil {
			t.Fatalf("%s: %v", c.typ, err)
		}
		same(t, c.typ+" keys", show(keys), []string{c.value})
		same(t, c.typ+" rows", show(images), []string{c.value + "|1"})
		_ = r.Close()
		same(t, c.typ+" by key", s.read(driver.Query{Table: tb, Shape: shape, Keys: keys}), []string{c.value + "|1"})
		bound := row.MakeKey([]byte(c.value))
		same(t, c.typ+" upto", s.read(driver.Query{Table: tb, Shape: shape, Range: row.Range{Upto: bound}}), []string{c.value + "|1"})
		same(t, c.typ+" after", s.read(driver.Query{Table: tb, Shape: shape, Range: row.Range{After: bound}}), nil)
	}
}

// hostile are names that break out of careless quoting.
var hostile = []string{"a`b", "select", "it's", `"q"`, "semi;colon", "back\\slash", "per%cent ?", "Ünïcödé 日本", "new\nline", "a$$b", "-- x", "{}", ".", " lead"}

// TestHostileNames moves a change through tables and columns of such names.
func TestHostileNames(t *testing.T) {
	src, dst := source(t), target(t)
	epoch := dst.takeOver()
	for i, n := range hostile {
		made := &schema.Table{
			Name: schema.Name{Schema: src.Info.Schema, Name: n}, Number: i + 1,
			Columns: []*schema.Column{{Name: n, Type: schema.Type{Kind: row.Int, Raw: "int"}}, {Name: n + "2", Type: schema.Type{Kind: row.Text, Raw: "varchar(20)"}, Null: true, Comment: n}},
			Comment: n,
		}
		made.Primary = &schema.Key{Columns: []schema.Part{{Column: n}}}
		made.Uniques = []*schema.Key{{Name: n, Columns: []schema.Part{{Column: n + "2"}}}}
		for _, s := range []*side{src, dst} {
			made.Name.Schema = s.Info.Schema
			s.plan(s.Dialect.CreateTable(made))
			s.plan(s.Dialect.CreateKeys(made))
		}
		tb := src.inspect(n)
		there := dst.inspect(n)
		tb.Number, there.Number = i+1, i+1
		if tb.Comment != n || tb.Columns[1].Comment != n || tb.Uniques[0].Name != n {
			t.Fatalf("%q: %+v", n, tb)
		}
		shape := src.install(tb)
		src.app().do("INSERT INTO " + src.Dialect.Quote(n) + " VALUES (1, 'x')")
		if f, err := src.Watcher.Fingerprint(src.ctx, tb); err != nil || strings.Contains(f, `"tables":[]`) {
			t.Fatalf("%q: %s %v", n, f, err)
		}
		if err := src.Gate.Shut(src.ctx, []*schema.Table{tb}, brief); err != nil {
			t.Fatal(err)
		}
		keys, images := row.NewBatch(1), row.NewBatch(2)
		r, err := src.Recorder.Take(src.ctx, driver.Want{Table: tb, Shape: shape, Lanes: 1, Most: 10}, keys, images)
		if err != nil {
			t.Fatal(err)
		}
		if err := dst.Applier.Apply(dst.ctx, driver.Delta{Table: there, Shape: shapeOf(there), Epoch: epoch, Number: 1, Keys: keys, Images: images}); err != nil {
			t.Fatalf("%q: %v", n, err)
		}
		_ = r.Close()
		same(t, n, dst.read(driver.Query{Table: there, Shape: shapeOf(there), Order: driver.KeyOrder}), []string{"1|x"})
		if _, err := src.Surveyor.Survey(src.ctx, tb, drivertest.Everything(tb)); err != nil {
			t.Fatal(err)
		}
		for r, err := range src.Splitter.Split(src.ctx, tb, shape, 1) {
			if err != nil {
				t.Fatal(r, err)
			}
		}
	}
}
