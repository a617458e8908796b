package mysql

import (
	"context"
	sqldriver "database/sql/driver"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/puddle/v2"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
	"github.com/whimbrel/whimbrel/schema"
)

// lendable is a target with tables that were filled, and a shadow.
func lendable(t *testing.T, address string) (b *site, tables []*schema.Table) {
	t.Helper()
	s := open(t, address, driver.Target)
	if err := s.Ledger.Prepare(s.ctx, "test"); err != nil {
		t.Fatal(err)
	}
	s.do("CREATE TABLE guest (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(20), KEY k (name))", "CREATE TABLE word (id INT PRIMARY KEY, guest INT, FOREIGN KEY (guest) REFERENCES guest (id))",
		"CREATE TABLE stays (id INT PRIMARY KEY)")
	b = build(t, s)
	for i, name := range []string{"guest", "word"} {
		table := b.inspect(name)
		table.Number = i + 1
		epoch := b.takeOver()
		b.must(b.Guard.Shut(b.ctx, table, epoch))
		b.must(b.load(epoch, table, shapeOf(table), 0, batch(2, []string{"1", "1"}, []string{"7", "1"})))
		tables = append(tables, table)
	}
	b.do("CREATE TRIGGER named BEFORE INSERT ON guest FOR EACH ROW SET NEW.name = UPPER(NEW.name)")
	b.must(b.Shadows.Make(b.ctx, b.shadow))
	return b, tables
}

// lent is the same with the tables lent to the shadow.
func lent(t *testing.T, address string) *site {
	t.Helper()
	b, tables := lendable(t, address)
	for range 2 {
		b.must(b.Shadows.Lend(b.ctx, b.shadow, tables))
	}
	return b
}

// scripts of a release: everything that can be made in a database, some of it named with the database.
func (b *site) release() {
	place := quote(b.shadow.Place)
	b.app().do("SET GLOBAL log_bin_trust_function_creators=1")
	b.script(b.shadow.Place, `
		INSERT INTO guest (name) VALUES ('new'); ALTER TABLE word ADD note TEXT; UPDATE word SET note = 'shadow.x';
		CREATE SEQUENCE numbers START WITH 5; CREATE TABLE made (id BIGINT DEFAULT NEXTVAL(numbers) PRIMARY KEY, at INT);
		CREATE FUNCTION f(a INT) RETURNS INT NO SQL RETURN a + 1;
		CREATE PROCEDURE p() UPDATE `+b.shadow.Place+`.made SET at = (SELECT MAX(id) FROM `+place+` . guest) /* of `+place+`.made */;
		CREATE VIEW b_view AS SELECT f(id) AS id, '`+b.shadow.Place+`.x' AS text FROM guest; CREATE VIEW a_view AS SELECT v.*, name FROM b_view v, `+place+`.guest;
		CREATE VIEW c_view AS SELECT COUNT(*) AS n, '`+b.shadow.Place+`.x' AS text FROM guest, information_schema.engines;
		CREATE TRIGGER first BEFORE INSERT ON made FOR EACH ROW SET NEW.at = f(1); CREATE TRIGGER second BEFORE INSERT ON made FOR EACH ROW SET NEW.at = NEW.at * 10 + (SELECT COUNT(*) FROM `+b.shadow.Place+`.word);
		CREATE EVENT e ON SCHEDULE EVERY 1 YEAR DO CALL p()`)
}

// adopted says what is at home after an Adopt, as whoever uses it sees it.
func (b *site) adopted() string {
	app := b.app()
	app.do("DELETE FROM made", "INSERT INTO made (id) VALUES (2)", "INSERT INTO made () VALUES ()", "INSERT INTO guest (name) VALUES ('later')", "DELETE FROM guest WHERE name = 'LATER'")
	seen := app.text("SELECT COUNT(*), MIN(at), MAX(at), MAX(id) BETWEEN 5 AND 9 FROM made") + "|" + app.text("SELECT name FROM guest ORDER BY id") + "|" + app.text("SELECT * FROM a_view ORDER BY id, name") + "|" + app.text("SELECT text FROM c_view")
	app.do("CALL p()")
	return seen + "|" + app.text("SELECT at FROM made ORDER BY id") + "|" + app.text("SELECT note FROM word LIMIT 1") + "|" + b.there(b.Info.Schema)
}

// TestLendAndAdopt: what was lent is the account's, what it made of it is ours afterwards, under the old names and nothing of the place in it.
func TestLendAndAdopt(t *testing.T) {
	b := lent(t, testserver.MariaDB(t))
	if got := b.there(b.Info.Schema); !strings.HasPrefix(got, "BASE TABLE stays\nBASE TABLE whimbrel_target_epoch") || strings.Contains(got, "trigger") {
		t.Errorf("at home are %s", got)
	}
	b.release()
	for range 2 {
		b.must(b.Shadows.Adopt(b.ctx, b.shadow, ""))
	}
	place := b.shadow.Place
	got := b.adopted()
	text := " " + place + ".x "
	views := "2" + text + "1\n2" + text + "1\n2" + text + "NEW\n8" + text + "1\n8" + text + "1\n8" + text + "NEW\n9" + text + "1\n9" + text + "1\n9" + text + "NEW"
	if want := "2 22 22 1|1\n1\nNEW|" + views + "|" + place + ".x|8\n8|shadow.x|BASE TABLE guest"; !strings.HasPrefix(got, want) {
		t.Errorf("at home is\n%s\nnot\n%s", got, want)
	}
	app := b.app()
	for _, query := range []string{
		"SELECT definer FROM information_schema.views WHERE table_schema = DATABASE()", "SELECT definer FROM information_schema.triggers WHERE trigger_schema = DATABASE()",
		"SELECT definer FROM information_schema.routines WHERE routine_schema = DATABASE()", "SELECT definer FROM information_schema.events WHERE event_schema = DATABASE()",
	} {
		if all := slices.Compact(strings.Split(app.text(query), "\n")); !slices.Equal(all, []string{"whimbrel@127.0.0.1"}) {
			t.Errorf("%s: %q", query, all)
		}
	}
	b.must(b.Shadows.Drop(b.ctx, b.shadow))
	if again := b.adopted(); again != strings.ReplaceAll(got, "BASE TABLE whimbrel_target_shadow\n", "") {
		t.Errorf("without the shadow\n%s\nnot\n%s", again, got)
	}
}

// TestAdoptCollides: nothing is moved where one name is taken, and all of it when it is free.
func TestAdoptCollides(t *testing.T) {
	b := lent(t, testserver.MariaDB(t))
	b.release()
	before := b.there(b.shadow.Place)
	for _, way := range []struct{ taken, free, named string }{
		{"CREATE TABLE guest (id INT PRIMARY KEY)", "DROP TABLE guest", "table guest"},
		{"CREATE TABLE a_view (id INT PRIMARY KEY)", "DROP TABLE a_view", "view a_view"},
		{"CREATE VIEW numbers AS SELECT 1", "DROP VIEW numbers", "sequence numbers"},
		{"CREATE PROCEDURE P() SELECT 1", "DROP PROCEDURE P", "procedure p"},
		{"CREATE TRIGGER second BEFORE INSERT ON stays FOR EACH ROW SET @a = 1", "DROP TRIGGER second", "trigger second"},
		{"CREATE EVENT e ON SCHEDULE EVERY 1 YEAR DO SELECT 1", "DROP EVENT e", "event e"},
		{"ALTER TABLE stays ADD CONSTRAINT word_ibfk_1 FOREIGN KEY (id) REFERENCES stays (id)", "ALTER TABLE stays DROP FOREIGN KEY word_ibfk_1", "foreign key word_ibfk_1"},
	} {
		b.do(way.taken)
		err := b.Shadows.Adopt(b.ctx, b.shadow, "")
		b.class(err, driver.Exists)
		if !strings.Contains(err.Error(), way.named+" in") {
			t.Errorf("%s: %v", way.taken, err)
		}
		if got := b.there(b.shadow.Place); got != before {
			t.Errorf("%s: in the shadow are\n%s\nnot\n%s", way.taken, got, before)
		}
		b.do(way.free)
	}
	b.must(b.Shadows.Adopt(b.ctx, b.shadow, ""))
	if got := b.there(b.shadow.Place); got != "" {
		t.Errorf("left in the shadow: %s", got)
	}
}

// TestCarryGoesOn: wherever a call was cut off, the next one ends where it would have.
func TestCarryGoesOn(t *testing.T) {
	server := testserver.New(t, "mariadb", "sync_binlog=0", "innodb_flush_log_at_trx_commit=0")
	whole := lent(t, server.Create(t, "whole"))
	whole.release()
	whole.must(whole.Shadows.Adopt(whole.ctx, whole.shadow, ""))
	want := strings.ReplaceAll(whole.adopted(), whole.shadow.Place, "PLACE")
	for after, done := 0, false; !done && !t.Failed(); after++ {
		t.Run(strconv.Itoa(after), func(t *testing.T) {
			b, tables := lendable(t, server.Create(t, "cut"+strconv.Itoa(after)))
			lend := b.cutOff(after, func() error { return b.Shadows.Lend(b.ctx, b.shadow, tables) })
			b.must(b.Shadows.Lend(b.ctx, b.shadow, tables))
			b.release()
			adopt := b.cutOff(after, func() error { return b.Shadows.Adopt(b.ctx, b.shadow, "") })
			b.must(b.Shadows.Adopt(b.ctx, b.shadow, ""))
			if got := b.there(b.shadow.Place); got != "" {
				t.Errorf("left in the shadow: %s", got)
			}
			if got := strings.ReplaceAll(b.adopted(), b.shadow.Place, "PLACE"); got != want {
				t.Errorf("at home is\n%s\nnot\n%s", got, want)
			}
			done = lend && adopt
			if done && after < 20 {
				t.Errorf("only %d statements were cut off", after)
			}
		})
	}
}

// cutting is a connection that ends after so many statements that change something.
type cutting struct {
	connection
	left *atomic.Int64
}

func (c cutting) ExecContext(ctx context.Context, sql string, args []sqldriver.NamedValue) (sqldriver.Result, error) {
	word, _, _ := strings.Cut(sql, " ")
	if !slices.Contains([]string{"SET", "USE", "INSERT", "START"}, word) && c.left.Add(-1) < 0 || c.left.Load() < 0 {
		return nil, sqldriver.ErrBadConn
	}
	return c.connection.ExecContext(ctx, sql, args)
}

// cutOff runs something whose sessions end after so many statements, and reports whether it came to its end.
func (b *site) cutOff(after int, run func() error) bool {
	b.t.Helper()
	var left atomic.Int64
	left.Store(int64(after))
	whole := b.d.control
	resources, err := puddle.NewPool(&puddle.Config[*session]{
		Constructor: func(ctx context.Context) (*session, error) {
			s, err := connect(ctx, b.d)
			if err == nil {
				s.conn = cutting{s.conn, &left}
			}
			return s, err
		},
		Destructor: func(s *session) { s.end() },
		MaxSize:    3,
	})
	b.must(err)
	b.d.control = &pool{resources, &b.d.closed}
	defer func() { b.d.control = whole }()
	err = run()
	b.d.control.empty()
	if err != nil && left.Load() >= 0 {
		b.t.Fatal(err)
	}
	return err == nil
}
