package mysql

import (
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
	s := open(t, server.Create(t, "shop"), driver.Source)
	s.do("CREATE TABLE p (id INT PRIMARY KEY, v INT)", "INSERT INTO p VALUES (1, 0)")
	p := s.inspect("p")
	install := func() {
		t.Helper()
		if err := s.Capturer.Install(s.ctx, p, shapeOf(p), brief); err != nil {
			t.Fatal(err)
		}
	}
	install()
	if err := os.Remove(filepath.Join(server.Dir, "data", "shop", "whimbrel_update_1.TRN")); err != nil {
		t.Fatal(err)
	}
	a := s.app()
	a.do("FLUSH TABLES p", "DROP TRIGGER IF EXISTS whimbrel_update_1")
	if left := a.text(whichOnP); !strings.Contains(left, "whimbrel_update_1") {
		t.Fatalf("the server finds it all the same: %q", left)
	}
	if err := s.Capturer.Remove(s.ctx, p, brief); err != nil {
		t.Fatal(err)
	}
	if err := s.Capturer.Finish(s.ctx); err != nil {
		t.Fatal(err)
	}
	a.do(touches)
	// Another one of that name would keep the application's writes from working.
	s.class(s.Capturer.Install(s.ctx, p, shapeOf(p), brief), driver.Exists)
	a.do(touches, "ALTER TABLE p RENAME TO q", "DROP TRIGGER whimbrel_update_1", "ALTER TABLE q RENAME TO p")
	if left := a.text(whichOnP); strings.Contains(left, "update") {
		t.Errorf("renamed, the table still has %q", left)
	}
	install()
	a.do(touches)
	if noted := s.taken(p, shapeOf(p), 1); len(noted) != 1 {
		t.Errorf("%v is noted", noted)
	}
}

// A trigger of the application's that the server takes away with ours is named, with its text.
func TestATriggerThatIsLostWithOursIsNamed(t *testing.T) {
	s, p := captured(t)
	s.leaveUnread("p", touches, firstOurs)
	err := s.d.control.with(s.ctx, func(c *session) error {
		there, err := s.d.onTable(s.ctx, c, p)
		if err != nil {
			return err
		}
		return s.d.takeOff(s.ctx, c, p, there, []standing{there[2], there[1], there[3]}) // the one with the unread text first
	})
	if err == nil || !strings.Contains(err.Error(), "TRIGGER `"+s.Info.Schema+"`.`theirs` AFTER INSERT ON `"+s.Info.Schema+"`.`p` FOR EACH ROW SET @theirs = 1") {
		t.Errorf("the error says %v", err)
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

// Where somebody holds the table, it is said what keeps the application's writes from working.
func TestUnreadTriggersThatCanNotBeReadAgainAreSaid(t *testing.T) {
	s, _ := captured(t)
	s.leaveUnread("p", touches, allUnread)
	a := s.app()
	a.do("BEGIN", "SELECT * FROM p")
	why, err := s.Blocked(s.ctx)
	if err != nil || !strings.Contains(why, "has not read the triggers of") {
		t.Errorf("%q, %v", why, err)
	}
	a.do("COMMIT")
	if why, err := s.Blocked(s.ctx); why != "" || err != nil {
		t.Error(why, err)
	}
	s.app().do(touches)
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
