package mysql

import (
	"strings"
	"testing"
)

// TestAdmit: of those who may write, by the server's own rights, only our sessions and the account's do, until the target opens; and
// while the account is admitted nobody else can write for a moment.
func TestAdmit(t *testing.T) {
	for _, kind := range []string{"", "WITH SYSTEM VERSIONING"} { // there the guard is triggers from the beginning
		t.Run("guarded "+kind, func(t *testing.T) { admits(t, kind) })
	}
}

func admits(t *testing.T, kind string) {
	b := build(t, target(t))
	b.do("CREATE TABLE a (id INT PRIMARY KEY, n INT) "+kind, "CREATE TABLE open (id INT PRIMARY KEY)")
	table, unguarded := b.inspect("a"), b.inspect("open")
	epoch := b.takeOver()
	b.must(b.Guard.Shut(b.ctx, table, epoch))
	b.must(b.load(epoch, table, shapeOf(table), 0, batch(2, []string{"1", "1"}, []string{"2", "2"})))
	who := quoteText(b.shadow.Account) + "@'127.0.0.1'"
	other, address := account(t, b.side, "other")
	for _, one := range []string{who, other} {
		b.do("GRANT ALL PRIVILEGES ON " + quote(b.Info.Schema) + ".* TO " + one)
	}
	writes := []string{"INSERT INTO a VALUES (3, 3)", "UPDATE a SET n = 9 WHERE id = 1", "DELETE FROM a WHERE id = 2"}
	denied := func(s *app) {
		t.Helper()
		for _, sql := range writes {
			if err := s.run(b.ctx, sql); err == nil {
				t.Errorf("%s: passed", sql)
			}
		}
	}
	stranger, admitted := open(t, address, "app").app(), open(t, b.address.String(), "app").app()
	stranger.do("SET check_constraint_checks=1")
	admitted.do("SET check_constraint_checks=1")
	denied(stranger)
	denied(admitted)
	before, err := b.Guard.Stands(b.ctx, table)
	b.must(err)

	stop, done := make(chan struct{}), make(chan int)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				done <- n
				return
			default:
				for _, sql := range writes {
					if stranger.run(b.ctx, sql) == nil {
						t.Errorf("%s: passed while an account was admitted", sql)
					}
				}
			}
		}
	}()
	for range 5 {
		for range 2 {
			b.must(b.Admitter.Admit(b.ctx, table, b.shadow.Account))
		}
		b.must(b.Admitter.Admit(b.ctx, table, "somebody@%"))
	}
	b.must(b.Admitter.Admit(b.ctx, table, b.shadow.Account+"@127.0.0.1"))
	close(stop)
	if n := <-done; n == 0 {
		t.Error("nobody tried to write meanwhile")
	}
	after, err := b.Guard.Stands(b.ctx, table)
	b.must(err)
	if after == "" || after == before {
		t.Errorf("the guard stands as %q", after)
	}
	denied(stranger)
	if _, err := b.pool("").ExecContext(b.ctx, strings.Join(writes, ";")); err != nil {
		t.Error(err)
	}
	if got := b.app().text("SELECT id, n FROM a ORDER BY id"); got != "1 9\n3 3" {
		t.Errorf("rows %q", got)
	}
	b.do("DELETE FROM a WHERE id = 3") // ours
	b.must(b.Admitter.Admit(b.ctx, unguarded, b.shadow.Account))
	stranger.do("INSERT INTO open VALUES (1)")
	b.do("RENAME TABLE a TO renamed", "CREATE TABLE a (id INT PRIMARY KEY)") // as an update does
	for range 2 {
		b.must(b.Guard.Open(b.ctx, table))
	}
	stranger.do("INSERT INTO renamed VALUES (4, 4)", "DELETE FROM renamed", "INSERT INTO a VALUES (5)")
	if got := b.app().text("SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema = DATABASE()"); got != "0" {
		t.Errorf("%s triggers are left", got)
	}
}
