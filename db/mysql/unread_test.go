package mysql

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
	"github.com/whimbrel/whimbrel/schema"
)

// leaveUnread kills a session of the application's again and again while it opens a table, until the server has kept the table with triggers
// that it has not read. Write is a statement that fires one of them; the error that it fails with then has a text.
func (s *side) leaveUnread(table, write, text string) {
	s.t.Helper()
	writer, killer := s.app(), s.app()
	kill := "KILL QUERY " + writer.text("SELECT CONNECTION_ID()")
	for limit := time.Now().Add(time.Minute); time.Now().Before(limit); {
		killer.do("FLUSH TABLES " + table)
		over := make(chan error, 1)
		go func() { over <- writer.run(s.ctx, write) }()
		for running := true; running; {
			killer.do(kill)
			select {
			case <-over:
				running = false
			default:
			}
		}
		err := writer.run(s.ctx, write)
		for number(err) == 1317 { // the last kill came late
			err = writer.run(s.ctx, write)
		}
		if number(err) == 1064 && strings.Contains(err.Error(), text) {
			return
		}
	}
	s.t.Fatal("no session was killed at the right moment for a minute")
}

// captured is a table with capture and, behind its triggers, one of the application's.
func captured(t *testing.T) (*side, *schema.Table) {
	s := source(t)
	s.do("CREATE TABLE p (id INT PRIMARY KEY, v INT)", "INSERT INTO p VALUES (1, 0)")
	p := s.inspect("p")
	if err := s.Capturer.Install(s.ctx, p, shapeOf(p), brief); err != nil {
		t.Fatal(err)
	}
	s.do("CREATE TRIGGER theirs AFTER INSERT ON p FOR EACH ROW SET @theirs = 1")
	return s, p
}

const (
	touches   = "UPDATE p SET v = v + 1 WHERE id = 1"
	whichOnP  = "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE() ORDER BY 1"
	allUnread = "nknown trigger"
	firstOurs = "'whimbrel_insert_1'"
)

// Capture is installed on a table whose triggers are unread.
func TestCaptureIsInstalledWhereTriggersAreUnread(t *testing.T) {
	s := source(t)
	s.do("CREATE TABLE p (id INT PRIMARY KEY, v INT)", "INSERT INTO p VALUES (1, 0)", "CREATE TRIGGER theirs AFTER UPDATE ON p FOR EACH ROW SET @theirs = 1")
	p := s.inspect("p")
	s.leaveUnread("p", touches, "")
	if err := s.Capturer.Install(s.ctx, p, shapeOf(p), brief); err != nil {
		t.Fatal(err)
	}
	s.app().do(touches)
	if noted := s.taken(p, shapeOf(p), 1); len(noted) != 1 {
		t.Errorf("%v is noted", noted)
	}
}

// Capture comes off a table whose triggers are unread, and no other trigger comes off with it. DROP TRIGGER by itself does either of both wrong.
func TestCaptureComesOffWhereTriggersAreUnread(t *testing.T) {
	for _, text := range []string{allUnread, firstOurs} {
		s, _ := captured(t)
		s.leaveUnread("p", touches, text)
		a := s.app()
		a.do("DROP TRIGGER whimbrel_insert_1")
		left := strings.Split(a.text(whichOnP), "\n")
		if text == allUnread && len(left) != 4 || text == firstOurs && len(left) == 3 {
			t.Errorf("the server itself takes one trigger away and leaves %q: nothing is proven", left)
		}

		s, p := captured(t)
		s.leaveUnread("p", touches, text)
		if err := s.Capturer.Remove(s.ctx, p, brief); err != nil {
			t.Fatal(err)
		}
		a = s.app()
		if left := a.text(whichOnP); left != "theirs" {
			t.Errorf("left are %q", left)
		}
		a.do(touches)
	}
}

// A trigger that has lost its name stays, and does nothing once capture came off.
func TestATriggerWithoutItsNameIsDisarmed(t *testing.T) {
	server := testserver.New(t, "mariadb")
	for _, event := range []string{"update", "delete"} {
		name := "whimbrel_" + event + "_1"
		s := open(t, server.Create(t, "on_"+event), driver.Source)
		s.do("CREATE TABLE p (id INT PRIMARY KEY, v INT)", "INSERT INTO p VALUES (1, 0)")
		p := s.inspect("p")
		s.install(p)
		if err := os.Remove(filepath.Join(server.Dir, "data", "on_"+event, name+".TRN")); err != nil {
			t.Fatal(err)
		}
		a := s.app()
		a.do("FLUSH TABLES p", "DROP TRIGGER IF EXISTS "+name)
		if left := a.text(whichOnP); !strings.Contains(left, name) {
			t.Fatalf("the server finds it all the same: %q", left)
		}
		if err := s.Capturer.Remove(s.ctx, p, brief); err != nil {
			t.Fatal(err)
		}
		if err := s.Capturer.Finish(s.ctx); err != nil {
			t.Fatal(err)
		}
		a.do(touches, "DELETE FROM p", "INSERT INTO p VALUES (1, 0)")
		// Another one of that name would keep the application's writes from working.
		s.class(s.Capturer.Install(s.ctx, p, shapeOf(p), brief), driver.Exists)
		a.do(touches, "ALTER TABLE p RENAME TO q", "DROP TRIGGER "+name, "ALTER TABLE q RENAME TO p")
		if left := a.text(whichOnP); strings.Contains(left, name) {
			t.Errorf("renamed, the table still has %q", left)
		}
		s.install(p)
		a.do(touches)
		if noted := s.taken(p, shapeOf(p), 1); len(noted) != 1 {
			t.Errorf("%v is noted", noted)
		}
	}
}

// A trigger of the application's that the server takes away with ours is named, with its text, whatever fails behind that.
func TestATriggerThatIsLostWithOursIsNamed(t *testing.T) {
	for _, then := range []string{"whimbrel_delete_1", strings.Repeat("x", 65)} { // no trigger can have so long a name
		s, p := captured(t)
		s.leaveUnread("p", touches, firstOurs)
		err := s.d.control.with(s.ctx, func(c *session) error {
			there, err := s.d.onTable(s.ctx, c, p)
			if err != nil {
				return err
			}
			var going []standing
			for _, name := range []string{"whimbrel_insert_1", then} {
				going = append(going, standing{trigger: trigger{name: name}})
			}
			return s.d.takeOff(s.ctx, c, p, there, going)
		})
		if err == nil || !strings.Contains(err.Error(), "TRIGGER `"+s.Info.Schema+"`.`theirs` AFTER INSERT ON `"+s.Info.Schema+"`.`p` FOR EACH ROW SET @theirs = 1") {
			t.Errorf("the error says %v", err)
		}
	}
}

// A table is opened anew without a trigger being made on it, also where ours were taken away a moment before.
func TestOpeningATableAnewMakesNoTrigger(t *testing.T) {
	s, p := captured(t)
	if err := s.Capturer.Remove(s.ctx, p, brief); err != nil {
		t.Fatal(err)
	}
	err := s.d.control.with(s.ctx, func(c *session) error {
		if err := s.d.renew(s.ctx, c, p, 1); err != nil {
			return err
		}
		_, err := s.d.seen(s.ctx, c, &schema.Table{Name: schema.Name{Schema: s.Info.Schema, Name: "p"}})
		return err
	})
	if left := s.app().text(whichOnP); err != nil || left != "theirs" {
		t.Errorf("%q, %v", left, err)
	}
}

// Capture comes off a table whose key has another name meanwhile, so that its triggers can not even be made any more.
func TestCaptureComesOffATableWhoseKeyWasRenamed(t *testing.T) {
	s, p := captured(t)
	a := s.app()
	a.do("ALTER TABLE p CHANGE id id2 INT")
	if err := a.run(s.ctx, touches[:len(touches)-len(" WHERE id = 1")]); number(err) != 1054 {
		t.Fatalf("nothing is proven: %v", err)
	}
	if err := s.Capturer.Remove(s.ctx, p, brief); err != nil {
		t.Fatal(err)
	}
	a.do("UPDATE p SET v = v + 1")
	if left := a.text(whichOnP); left != "theirs" {
		t.Errorf("left are %q", left)
	}
}

// beside does something that has to wait for a table, and statements of the application's while it waits.
func (s *side) beside(table string, wait func() error, meanwhile ...string) error {
	s.t.Helper()
	holder, other := s.app(), s.app()
	holder.do("BEGIN", "SELECT * FROM "+table)
	over := make(chan error, 1)
	go func() { over <- wait() }()
	other.sees("1")
	other.do(meanwhile...)
	holder.do("COMMIT")
	return <-over
}

// A helper is taken away although its table is renamed while another one's is waited for.
func TestAHelperComesOffATableThatIsRenamedMeanwhile(t *testing.T) {
	for held, renamed := range map[string]string{"one": "two", "two": "one"} {
		s := source(t)
		s.do("CREATE TABLE one (id INT PRIMARY KEY)", "CREATE TABLE two (id INT PRIMARY KEY)",
			"CREATE TABLE p (id INT PRIMARY KEY, one INT, two INT, FOREIGN KEY (one) REFERENCES one (id) ON DELETE CASCADE, FOREIGN KEY (two) REFERENCES two (id) ON DELETE CASCADE)")
		p := s.inspect("p")
		s.install(p)
		err := s.beside(held, func() error { return s.Capturer.Remove(s.ctx, p, driver.Wait{Lock: 30 * time.Second}) }, "RENAME TABLE "+renamed+" TO moved")
		if err != nil {
			t.Fatal(err)
		}
		other := s.app()
		if left := other.text(whichOnP); left != "" {
			t.Fatalf("left are %q", left)
		}
		other.do("DELETE FROM moved")
	}
}

// Capture comes off a table that is renamed while it is waited for, and nobody is told that the application's triggers are lost.
func TestCaptureComesOffATableThatIsRenamedMeanwhile(t *testing.T) {
	s, p := captured(t)
	holder, renamer, other := s.app(), s.app(), s.app()
	holder.do("BEGIN", "SELECT * FROM p")
	renamed, over := make(chan error, 1), make(chan error, 1)
	go func() { renamed <- renamer.run(s.ctx, "RENAME TABLE p TO q") }()
	other.sees("1")
	go func() { over <- s.Capturer.Remove(s.ctx, p, driver.Wait{Lock: 30 * time.Second}) }()
	other.sees("2")
	holder.do("COMMIT")
	if err := errors.Join(<-renamed, <-over); err != nil {
		t.Fatal(err)
	}
	other.do("UPDATE q SET v = v + 1")
	if left := other.text(whichOnP); left != "theirs" {
		t.Errorf("left are %q", left)
	}
}

// While capture stands, triggers that were left unread are read again before the application's writes fail for long.
func TestUnreadTriggersAreReadAgain(t *testing.T) {
	s, _ := captured(t)
	for _, text := range []string{allUnread, firstOurs, "'theirs'"} { // behind the name of the last one it can not be seen
		s.leaveUnread("p", touches, text)
		if why, err := s.Blocked(s.ctx); why != "" || err != nil {
			t.Fatal(why, err)
		}
		if err := s.app().run(s.ctx, touches); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Where somebody holds the table, that is said and tried again.
func TestUnreadTriggersOfATableThatIsHeldAreReadLater(t *testing.T) {
	s, _ := captured(t)
	s.leaveUnread("p", touches, allUnread)
	a := s.app()
	a.do("BEGIN", "SELECT * FROM p")
	if why, err := s.Blocked(s.ctx); why != "" || err == nil || !strings.Contains(err.Error(), "are unread") {
		t.Errorf("%q, %v", why, err)
	}
	a.do("COMMIT")
	if why, err := s.Blocked(s.ctx); why != "" || err != nil {
		t.Error(why, err)
	}
	s.app().do(touches)
}

// occupy has a session hold the copy of p that the server gives it first, until what is returned is called.
func (s *side) occupy() (release func()) {
	s.t.Helper()
	guard, reader := s.app(), s.app()
	lock := "'" + s.Info.Schema + reader.text("SELECT CONNECTION_ID()") + "'"
	guard.text("SELECT GET_LOCK(" + lock + ", 0)")
	over := make(chan error, 1)
	go func() {
		_, err := reader.rows(s.ctx, "SELECT GET_LOCK("+lock+", 60) FROM p LIMIT 1")
		over <- err
	}()
	eventually(s.t, "it holds the table", func() bool {
		return guard.text("SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User lock' AND LOCATE("+lock+", info) > 0 AND id <> CONNECTION_ID()") == "1"
	})
	return func() {
		s.t.Helper()
		guard.text("SELECT RELEASE_LOCK(" + lock + ")")
		if err := <-over; err != nil {
			s.t.Fatal(err)
		}
		guard.end()
		reader.end()
	}
}

// A copy that lies behind a good one is not seen, and is closed all the same, once nobody holds the table.
func TestUnreadTriggersBehindAGoodCopyAreReadAgain(t *testing.T) {
	s, _ := captured(t)
	s.leaveUnread("p", touches, allUnread)
	unread, good := s.occupy(), s.occupy()
	unread()
	good()
	writer, holder := s.app(), s.app()
	behind := func() error {
		release := s.occupy()
		defer release()
		return writer.run(s.ctx, touches)
	}
	if err := behind(); number(err) != 1064 {
		t.Fatalf("the unread copy is not behind a good one: %v", err)
	}
	writer.do(touches)
	holder.do("BEGIN", "SELECT * FROM p")
	look := func() {
		t.Helper()
		if why, err := s.Blocked(s.ctx); why != "" || err != nil {
			t.Fatal(why, err)
		}
	}
	for range 5 {
		look()
	}
	if err := behind(); number(err) != 1064 {
		t.Fatalf("it was opened anew although it is held: %v", err)
	}
	holder.do("COMMIT")
	look()
	if err := behind(); err != nil {
		t.Error(err)
	}
	for range 3 {
		err := s.d.control.with(s.ctx, func(c *session) error {
			wait, err := c.row(s.ctx, "SELECT @@lock_wait_timeout")
			if err == nil && wait[0] == "0" {
				t.Error("a session waits for no lock any more")
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Once a table was held for a minute it is waited for.
func TestATableThatIsAlwaysHeldIsWaitedFor(t *testing.T) {
	s, p := captured(t)
	s.d.suspected.tables = map[schema.Name]time.Time{p.Name: time.Now().Add(-2 * patient)}
	err := s.beside("p", func() error {
		_, err := s.Blocked(s.ctx)
		return err
	}, "DO 1")
	if err != nil || len(s.d.suspected.tables) > 0 {
		t.Errorf("%v, and left are %v", err, s.d.suspected.tables)
	}
}

// What is written to a guarded table whose triggers are unread fails once, and passes when it is tried again.
func TestTheTargetsTriggersAreReadAgain(t *testing.T) {
	s := target(t)
	s.do("CREATE TABLE p (id INT PRIMARY KEY, v INT)")
	p, epoch := s.inspect("p"), s.takeOver()
	shape := shapeOf(p)
	if err := s.Guard.Shut(s.ctx, p, epoch); err != nil {
		t.Fatal(err)
	}
	apply := func() error {
		rows := batch(2, []string{"2", "2"})
		return s.Applier.Apply(s.ctx, driver.Delta{Table: p, Shape: shape, Epoch: epoch, Number: 1, Lane: 0, Keys: batch(1, []string{"2"}), Images: rows})
	}
	load := func() error { return s.load(epoch, p, shape, 1, batch(2, []string{"1", "1"})) }
	for _, write := range []func() error{load, apply} {
		s.leaveUnread("p", "INSERT INTO p VALUES (9, 9)", "")
		s.class(write(), driver.Transient)
		if err := write(); err != nil {
			t.Error(err)
		}
	}
	same(t, "rows", s.read(driver.Query{Table: p, Shape: shape, Order: driver.KeyOrder}), []string{"1|1", "2|2"})
	if stands, err := s.Guard.Stands(s.ctx, p); stands == "" || err != nil {
		t.Errorf("the guard: %q, %v", stands, err)
	}
}

// A load that met unread triggers is tried again, also where the session is lost that opens the table anew, or somebody holds the table.
func TestALoadThatMetUnreadTriggersPasses(t *testing.T) {
	s := target(t)
	s.do("CREATE TABLE p (id INT PRIMARY KEY, v INT)")
	p, epoch := s.inspect("p"), s.takeOver()
	if err := s.Guard.Shut(s.ctx, p, epoch); err != nil {
		t.Fatal(err)
	}
	s.leaveUnread("p", "INSERT INTO p VALUES (9, 9)", "")
	holder, killer := s.app(), s.app()
	holder.do("BEGIN", "SELECT * FROM p")
	load := func() error { return s.load(epoch, p, shapeOf(p), 1, batch(2, []string{"1", "1"})) }
	s.class(load(), driver.Transient)
	over := make(chan error, 1)
	go func() { over <- load() }()
	var waiting string
	eventually(t, "the table is waited for", func() bool {
		waiting = killer.text("SELECT id FROM information_schema.processlist WHERE info LIKE '%whimbrel_renew%' AND id <> CONNECTION_ID() AND db = DATABASE()")
		return waiting != ""
	})
	killer.do("KILL " + waiting)
	s.class(<-over, driver.Transient)
	holder.do("COMMIT")
	err := load()
	if err != nil { // the session that was lost may have closed what was unread, or not
		s.class(err, driver.Transient)
		err = load()
	}
	if err != nil {
		t.Error(err)
	}
}
