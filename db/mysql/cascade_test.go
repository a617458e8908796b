package mysql

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// mirror is a source some tables of which are captured, and a target that follows them.
type mirror struct {
	src, dst *side
	tables   []*schema.Table
	there    []*schema.Table
	shapes   []schema.Shape
	numbers  []int64
	epoch    int64
}

// follow makes tables at the source with these statements, copies the captured ones and notes what changes from then on.
func follow(t *testing.T, captured []string, statements ...string) *mirror {
	t.Helper()
	m := &mirror{src: source(t), dst: target(t)}
	m.epoch = m.dst.takeOver()
	m.src.app().do(statements...)
	for i, name := range captured {
		tb := m.src.inspect(name)
		tb.Number = i + 1
		there := *tb
		there.Name.Schema, there.Foreign = m.dst.Info.Schema, nil
		m.dst.plan(m.dst.Dialect.CreateTable(&there))
		m.dst.plan(m.dst.Dialect.CreateKeys(&there))
		shape := m.src.install(tb)
		m.tables, m.there, m.shapes, m.numbers = append(m.tables, tb), append(m.there, &there), append(m.shapes, shape), append(m.numbers, 0)
		var columns []string
		for _, c := range shape.Columns {
			columns = append(columns, quote(c.Column.Name))
		}
		m.src.app().do("SET foreign_key_checks=0", fmt.Sprintf("INSERT INTO %s (%[2]s) SELECT %[2]s FROM %[3]s", m.dst.d.dialect.name(there.Name), strings.Join(columns, ", "), m.src.d.dialect.name(tb.Name)))
	}
	return m
}

// batch replays one batch of one table and returns how many entries it had.
func (m *mirror) batch(i int) int {
	m.src.t.Helper()
	keys, images := row.NewBatch(len(m.shapes[i].Key)), row.NewBatch(m.shapes[i].Width())
	r, err := m.src.Recorder.Take(m.src.ctx, driver.Want{Table: m.tables[i], Shape: m.shapes[i], Lanes: 1, Most: 1000}, keys, images)
	if err != nil {
		m.src.t.Fatal(err)
	}
	defer r.Close()
	if r.Entries() == 0 {
		return 0
	}
	m.numbers[i]++
	if err := r.Durable(m.src.ctx, m.numbers[i]); err != nil {
		m.src.t.Fatal(err)
	}
	if err := m.dst.Applier.Apply(m.dst.ctx, driver.Delta{Table: m.there[i], Shape: m.shapes[i], Epoch: m.epoch, Number: m.numbers[i], Keys: keys, Images: images}); err != nil {
		m.src.t.Fatal(err)
	}
	if err := r.Forget(m.src.ctx, m.numbers[i]); err != nil {
		m.src.t.Fatal(err)
	}
	return r.Entries()
}

// difference replays all and says where the two sides differ.
func (m *mirror) difference() string {
	m.src.t.Helper()
	var all []string
	for i := range m.tables {
		for m.batch(i) > 0 {
		}
		if b, err := m.src.Recorder.Backlog(m.src.ctx, m.tables[i]); err != nil || b.Entries != 0 {
			m.src.t.Fatal(b, err)
		}
		want := m.src.read(driver.Query{Table: m.tables[i], Shape: m.shapes[i], Order: driver.KeyOrder})
		got := m.dst.read(driver.Query{Table: m.there[i], Shape: m.shapes[i], Order: driver.KeyOrder})
		if !slices.Equal(want, got) {
			all = append(all, fmt.Sprintf("%s:\nsource %q\ntarget %q", m.tables[i].Name.Name, want, got))
		}
	}
	return strings.Join(all, "\n")
}

// cascadeRules are the actions of the last foreign key of a chain; those above it cascade.
var cascadeRules = []string{"CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT"}

// chain makes a root and three levels below it, the last key of which has a rule. The columns that point up are those that are
// pointed at, so that an update goes all the way.
func chain(levels int, rule string) []string {
	all := []string{"CREATE TABLE level0 (id INT PRIMARY KEY, u INT UNIQUE, v INT)", "INSERT INTO level0 SELECT seq, seq, 0 FROM seq_1_to_9"}
	for l := 1; l <= levels; l++ {
		r := "CASCADE"
		if l == levels {
			r = rule
		}
		all = append(all, fmt.Sprintf("CREATE TABLE level%d (id INT PRIMARY KEY, u INT DEFAULT 9, v INT, KEY (u), FOREIGN KEY (u) REFERENCES level%d (u) ON DELETE %[3]s ON UPDATE %[3]s)", l, l-1, r),
			fmt.Sprintf("INSERT INTO level%d SELECT p.id * 10 + s.seq, p.u, 0 FROM level%d p JOIN seq_1_to_2 s", l, l-1))
	}
	return all
}

// TestCascadesAreNoted is the matrix of HAZARDS 1: how deep the captured table is, what its foreign key does, and the
// application's isolation level; each kind of statement that reaches it is tried.
func TestCascadesAreNoted(t *testing.T) {
	for levels := 1; levels <= 3; levels++ {
		for _, rule := range cascadeRules {
			t.Run(fmt.Sprintf("%d %s", levels, rule), func(t *testing.T) {
				last := fmt.Sprintf("level%d", levels)
				m := follow(t, []string{last}, chain(levels, rule)...)
				for i, isolation := range []string{"READ COMMITTED", "REPEATABLE READ"} {
					a := m.src.app()
					a.do("SET SESSION TRANSACTION ISOLATION LEVEL " + isolation)
					for _, sql := range []string{
						"DELETE FROM level0 WHERE id = %d", "UPDATE level0 SET u = u + 100, v = 1 WHERE id = %d", "UPDATE level0 SET v = v + 1 WHERE id = %d",
						"REPLACE INTO level0 VALUES (%d, 200, 0)", "INSERT INTO level0 VALUES (%d, 1, 0) ON DUPLICATE KEY UPDATE u = 300 + id",
					} {
						a.do("BEGIN")
						a.text("SELECT COUNT(*) FROM " + last)
						for key := 1; key <= 2; key++ {
							err := a.run(t.Context(), fmt.Sprintf(sql, key+2*i)) // what the rule refuses changes nothing
							if refuses := rule == "SET DEFAULT" || rule == "RESTRICT"; err != nil && !refuses {
								t.Fatalf("%s: %v", sql, err)
							}
						}
						a.do("COMMIT")
						if d := m.difference(); d != "" {
							t.Fatalf("%s, %s: %s", isolation, sql, d)
						}
					}
					a.do("BEGIN")
					_ = a.run(t.Context(), "DELETE FROM level0 WHERE id > 5")
					a.do("ROLLBACK")
				}
				if d := m.difference(); d != "" {
					t.Fatal(d)
				}
			})
		}
	}
}

// TestCascadesOfEveryShapeAreNoted runs statements on schemas that chains are not like.
func TestCascadesOfEveryShapeAreNoted(t *testing.T) {
	other := "whimbrel_test_outside_" + strings.ToLower(t.Name())
	for _, c := range []struct {
		name, captured string
		make, run      []string
	}{
		{"keys that change with their parents", "a b c", []string{
			"CREATE TABLE a (a INT PRIMARY KEY)",
			"CREATE TABLE b (a INT, b INT, PRIMARY KEY (a, b), FOREIGN KEY (a) REFERENCES a (a) ON DELETE CASCADE ON UPDATE CASCADE)",
			"CREATE TABLE c (a INT, b INT, c INT, g INT AS (a + b) VIRTUAL, PRIMARY KEY (b, c, a), FOREIGN KEY (a, b) REFERENCES b (a, b) ON DELETE CASCADE ON UPDATE CASCADE)",
			"INSERT INTO a SELECT seq FROM seq_1_to_5", "INSERT INTO b SELECT a, seq FROM a JOIN seq_1_to_3", "INSERT INTO c (a, b, c) SELECT a, b, seq FROM b JOIN seq_1_to_2",
		}, []string{
			"UPDATE a SET a = a + 10 WHERE a = 1", "UPDATE a SET a = a + 1 ORDER BY a DESC", "UPDATE b SET b = b + 100 WHERE a = 3", "DELETE FROM b WHERE a = 4 AND b = 1",
			"DELETE a FROM a JOIN b USING (a) JOIN c USING (a) WHERE a.a = 5", "DELETE a, b, c FROM a JOIN b USING (a) JOIN c USING (a) WHERE a.a = 3",
			"DELETE FROM a WHERE a IN (SELECT a FROM c WHERE a = 6)", "UPDATE a JOIN b USING (a) SET a.a = 77, b.b = b.b WHERE a.a = 2",
			"UPDATE a LEFT JOIN c USING (a) SET a.a = 78 WHERE a.a = 77",
		}},
		{"a tree", "s", []string{
			"CREATE TABLE s (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES s (id) ON DELETE CASCADE)",
			"INSERT INTO s SELECT seq, IF(seq < 3, NULL, seq DIV 2) FROM seq_1_to_60", "INSERT INTO s SELECT 1000 + seq, IF(seq = 1, NULL, 999 + seq) FROM seq_1_to_15",
		}, []string{"DELETE FROM s WHERE id = 60", "DELETE FROM s WHERE id = 4", "UPDATE s SET up = 6 WHERE id = 5", "DELETE FROM s WHERE id = 6", "DELETE FROM s WHERE id = 1001", "DELETE FROM s ORDER BY id DESC LIMIT 3", "DELETE FROM s WHERE id = 1"}},
		{"a tree that is not captured, and what hangs on it", "l", []string{
			"CREATE TABLE s (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES s (id) ON DELETE CASCADE)",
			"CREATE TABLE l (id INT PRIMARY KEY, s INT, FOREIGN KEY (s) REFERENCES s (id) ON DELETE SET NULL ON UPDATE CASCADE)",
			"INSERT INTO s SELECT seq, IF(seq < 3, NULL, seq DIV 2) FROM seq_1_to_60", "INSERT INTO l SELECT seq, seq FROM seq_1_to_60",
		}, []string{"DELETE FROM s WHERE id = 60", "DELETE FROM s WHERE id = 4", "UPDATE s SET id = 600 WHERE id = 59", "UPDATE s SET up = 3 WHERE id = 5", "DELETE FROM s WHERE id = 3", "DELETE FROM s WHERE id = 1"}},
		{"a tree whose branches are cut loose", "s", []string{
			"CREATE TABLE s (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES s (id) ON DELETE SET NULL)", "INSERT INTO s SELECT seq, IF(seq < 2, NULL, seq DIV 2) FROM seq_1_to_20",
		}, []string{"DELETE FROM s WHERE id = 2", "DELETE FROM s WHERE id IN (1, 3)", "DELETE FROM s"}},
		{"two tables in a circle", "m n", []string{
			"CREATE TABLE m (id INT PRIMARY KEY, o INT)", "CREATE TABLE n (id INT PRIMARY KEY, o INT, FOREIGN KEY (o) REFERENCES m (id) ON DELETE CASCADE ON UPDATE CASCADE)",
			"INSERT INTO m SELECT seq, NULL FROM seq_1_to_9", "INSERT INTO n SELECT seq, seq FROM seq_1_to_9", "UPDATE m SET o = id - 1 WHERE id > 1",
			"ALTER TABLE m ADD FOREIGN KEY (o) REFERENCES n (id) ON DELETE CASCADE ON UPDATE SET NULL",
		}, []string{"DELETE FROM m WHERE id = 9", "DELETE FROM n WHERE id = 7", "UPDATE n SET id = 100 WHERE id = 5", "UPDATE m SET id = 101 WHERE id = 5", "DELETE FROM m WHERE id = 3", "DELETE FROM m WHERE id = 1", "DELETE FROM m"}},
		{"several foreign keys, and diamonds", "d", []string{
			"CREATE TABLE a (id INT PRIMARY KEY, u INT UNIQUE)", "CREATE TABLE b (id INT PRIMARY KEY, a INT UNIQUE, FOREIGN KEY (a) REFERENCES a (id) ON DELETE SET NULL ON UPDATE CASCADE)",
			"CREATE TABLE c (id INT PRIMARY KEY, a INT, FOREIGN KEY (a) REFERENCES a (id) ON DELETE CASCADE ON UPDATE CASCADE)",
			`CREATE TABLE d (id INT, x INT, y INT, b INT, c INT, PRIMARY KEY (id), FOREIGN KEY (x) REFERENCES a (id) ON DELETE SET NULL ON UPDATE CASCADE, FOREIGN KEY (y) REFERENCES a (u) ON DELETE SET NULL ON UPDATE SET NULL,
				FOREIGN KEY (b) REFERENCES b (a) ON DELETE CASCADE ON UPDATE CASCADE, FOREIGN KEY (c) REFERENCES c (id) ON DELETE CASCADE)`,
			"INSERT INTO a SELECT seq, -seq FROM seq_1_to_9", "INSERT INTO b SELECT seq, seq FROM seq_1_to_9", "INSERT INTO c SELECT seq, seq FROM seq_1_to_9",
			"INSERT INTO d SELECT 10 * a + k, IF(k=1, a, NULL), IF(k=2, -a, NULL), IF(k=3, a, NULL), IF(k=4, a, NULL) FROM (SELECT x.seq a, y.seq k FROM seq_1_to_9 x JOIN seq_1_to_4 y) z",
		}, []string{"UPDATE a SET u = -100 WHERE id = 1", "DELETE FROM a WHERE id = 2", "DELETE FROM b WHERE id = 3", "DELETE FROM a WHERE id = 3", "UPDATE b SET a = NULL WHERE id = 4", "DELETE FROM a WHERE id IN (5, 6)", "UPDATE c SET id = id", "UPDATE a SET id = 70, u = -70 WHERE id = 7"}},
		{"keys that only differ in case, and hostile names", "k", []string{
			"CREATE TABLE `p``a'r\"e-n t` (`i``d` VARCHAR(9) COLLATE utf8mb4_general_ci PRIMARY KEY)",
			"CREATE TABLE k (`k/y` VARCHAR(9) COLLATE utf8mb4_general_ci PRIMARY KEY, FOREIGN KEY (`k/y`) REFERENCES `p``a'r\"e-n t` (`i``d`) ON DELETE CASCADE ON UPDATE CASCADE)",
			"INSERT INTO `p``a'r\"e-n t` VALUES ('abc'), ('x'), ('ü')", "INSERT INTO k SELECT * FROM `p``a'r\"e-n t`",
		}, []string{"UPDATE `p``a'r\"e-n t` SET `i``d` = UPPER(`i``d`)", "UPDATE `p``a'r\"e-n t` SET `i``d` = 'x ' WHERE `i``d` = 'x'", "DELETE FROM `p``a'r\"e-n t` WHERE `i``d` = 'Ü'"}},
		{"a parent in another database", "c", []string{
			"CREATE DATABASE " + other, "CREATE TABLE " + other + ".p (id INT PRIMARY KEY)", "INSERT INTO " + other + ".p SELECT seq FROM seq_1_to_9",
			"CREATE TABLE c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES " + other + ".p (id) ON DELETE CASCADE ON UPDATE SET NULL)", "INSERT INTO c SELECT seq, seq FROM seq_1_to_9",
		}, []string{"DELETE FROM " + other + ".p WHERE id < 3", "UPDATE " + other + ".p SET id = 50 WHERE id = 5"}},
		{"triggers of the application's before ours", "c", []string{
			"CREATE TABLE p (id INT PRIMARY KEY, v INT)", "CREATE TABLE c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE)",
			"CREATE TRIGGER b1 BEFORE UPDATE ON p FOR EACH ROW SET NEW.id = NEW.id + 1000", "CREATE TRIGGER b2 BEFORE DELETE ON p FOR EACH ROW UPDATE c SET p = OLD.id WHERE id = 9",
			"CREATE TRIGGER b3 AFTER DELETE ON p FOR EACH ROW INSERT INTO c VALUES (OLD.id + 500, NULL)",
			"INSERT INTO p SELECT seq, 0 FROM seq_1_to_9", "INSERT INTO c SELECT seq, seq FROM seq_1_to_9",
		}, []string{"UPDATE p SET v = 1 WHERE id = 2", "DELETE FROM p WHERE id = 3", "DELETE FROM p WHERE id = 4"}},
		{"foreign keys that are not looked at", "c", []string{
			"CREATE TABLE p (id INT PRIMARY KEY)", "CREATE TABLE c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE)",
			"INSERT INTO p SELECT seq FROM seq_1_to_9", "INSERT INTO c SELECT seq, seq FROM seq_1_to_9",
		}, []string{"SET foreign_key_checks=0", "DELETE FROM p WHERE id = 1", "INSERT INTO c VALUES (100, 100)", "SET foreign_key_checks=1", "INSERT INTO p VALUES (100)", "UPDATE p SET id = 101 WHERE id = 100", "DELETE FROM p WHERE id IN (101, 2)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := follow(t, strings.Fields(c.captured), c.make...)
			defer m.src.app().do("SET foreign_key_checks=0", "DROP DATABASE IF EXISTS "+other)
			a := m.src.app()
			for _, sql := range c.run {
				a.do(sql)
				if d := m.difference(); d != "" {
					t.Fatalf("%s: %s", sql, d)
				}
			}
			for _, tb := range m.tables {
				for range 2 {
					if err := m.src.Capturer.Remove(t.Context(), tb, brief); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := m.src.Capturer.Finish(t.Context()); err != nil {
				t.Fatal(err)
			}
			if left := a.text(`SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema IN (DATABASE(), '` + other + `') AND trigger_name LIKE 'whimbrel%'
				UNION ALL SELECT table_name FROM information_schema.tables WHERE table_schema IN (DATABASE(), '` + other + `') AND table_name LIKE 'whimbrel%'`); left != "" {
				t.Fatal("left behind: ", left)
			}
		})
	}
}
