package postgres

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
	"github.com/whimbrel/whimbrel/row"
)

// strange is text of a stranger's that leaves a table behind where it is written into a statement without care.
const strange = `it's'; CREATE TABLE public.pwned (); --`

// harmed fails the test if a stranger's text was taken for a statement.
func (u *user) harmed(where string) {
	u.t.Helper()
	if got := u.ask("SELECT count(*) FROM pg_class WHERE relname = 'pwned'"); got != "0" {
		u.t.Errorf("%s: a stranger's text was carried out", where)
	}
}

// TestStrangeKeysLimitAStream: the bounds of a range and single keys stand in COPY itself, which takes no parameters.
func TestStrangeKeysLimitAStream(t *testing.T) {
	const closing = `m' AS text)) TO STDOUT; CREATE TABLE public.pwned (); --`
	for i, key := range []string{"'", "m'm", `m\`, `m\'`, closing, "m' OR true OR k > 'm"} {
		p := pair(t, "CREATE TABLE a (k text COLLATE \"C\" PRIMARY KEY); INSERT INTO a VALUES ('"+strings.ReplaceAll(key, "'", "''")+"'), (''), ('zz')")
		a := tableOf(t, p.source, "a")
		shape := shapeOf(a)
		keys := row.NewBatch(1)
		keys.AppendString(key)
		for what, q := range map[string]driver.Query{
			"upto": {Range: row.Range{After: row.MakeKey([]byte("")), Upto: row.MakeKey([]byte(key))}}, "by key": {Keys: keys},
		} {
			q.Table, q.Shape = a, shape
			var wire bytes.Buffer
			n, err := p.source.Pipe.Out(t.Context(), q, &wire)
			if err != nil || n != 1 || !bytes.Contains(wire.Bytes(), []byte(key)) {
				t.Errorf("%d %s %q: %d rows, %v: %q", i, what, key, n, err, wire.String())
			}
			p.app.harmed(what)
		}
		var wire bytes.Buffer
		n, err := p.source.Pipe.Out(t.Context(), driver.Query{Table: a, Shape: shape, Range: row.Range{After: row.MakeKey([]byte(key))}}, &wire)
		if err != nil || n != 1 || !strings.Contains(wire.String(), "zz") {
			t.Errorf("%d after %q: %d rows, %v: %q", i, key, n, err, wire.String())
		}
		p.app.harmed("after")
	}
}

// TestStrangeSequencesGoOn: a column's own, and one that is nobody's.
func TestStrangeSequencesGoOn(t *testing.T) {
	name := quote(strange)
	p := pair(t, fmt.Sprintf(`CREATE TABLE %s (id integer PRIMARY KEY); CREATE SEQUENCE %[2]s OWNED BY %[1]s.id;
		ALTER TABLE %[1]s ALTER COLUMN id SET DEFAULT nextval(%[3]s); CREATE SEQUENCE %[4]s`,
		name, quote("of "+strange), literal(quote("of "+strange)), quote("free "+strange)))
	p.app.do("INSERT INTO " + name + " VALUES (DEFAULT), (DEFAULT); SELECT nextval(" + literal(quote("free "+strange)) + ")")
	all, err := p.source.Sequencer.Next(t.Context(), inspect(t, p.source))
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, g := range all {
		got += g.Next + " "
		if err := p.target.Sequencer.Set(t.Context(), g); err != nil {
			t.Fatal(err)
		}
	}
	if got != "3 2 " {
		t.Errorf("next: %s", got)
	}
	if got := p.there.ask("SELECT nextval(" + literal(quote("of "+strange)) + "), nextval(" + literal(quote("free "+strange)) + ")"); got != "3,2" {
		t.Errorf("at the target: %s", got)
	}
	p.app.harmed("next")
	p.there.harmed("set")
}

// TestALongValueOfAStrangeTableIsFound.
func TestALongValueOfAStrangeTableIsFound(t *testing.T) {
	p := pair(t, "CREATE TABLE "+quote(strange)+" (id integer PRIMARY KEY, s text); INSERT INTO "+quote(strange)+" SELECT 1, repeat('x', 5 << 20)")
	table := tableOf(t, p.source, strange)
	q := driver.Questions{}
	q.Ask("s", driver.Question{What: driver.Longest, Above: 4 << 20})
	facts, err := p.source.Surveyor.Survey(t.Context(), table, q)
	if err != nil || fmt.Sprint(facts) != fmt.Sprintf("[{s longest 1 %d }]", 5<<20) {
		t.Errorf("%v %v", facts, err)
	}
	p.app.harmed("survey")
}

// TestAStrangeTableIsCloned, and its generators, which belong to columns of such names, go on.
func TestAStrangeTableIsCloned(t *testing.T) {
	s := newSite(t, driver.Source)
	name := quote(strange)
	s.admin.do(fmt.Sprintf("SET ROLE %s; CREATE TABLE %s (%[2]s integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY); INSERT INTO %[2]s DEFAULT VALUES; RESET ROLE", s.owner, name))
	tables := s.tables(strange)
	s.build("")
	for range 2 {
		s.check(s.db.Shadows.Clone(t.Context(), s.shadow, tables))
	}
	s.want("the next value", `INSERT INTO "new release".`+name+" DEFAULT VALUES RETURNING "+name, "2")
	s.admin.harmed("clone")
}

// TestARunOfAnyNameIsHeld: the run's name comes out of a file. It stands in the set-up of every session, in what a shadow is known by,
// and in the guard, which is read by the application's sessions with their own settings.
func TestARunOfAnyNameIsHeld(t *testing.T) {
	for _, conforming := range []string{"on", "off"} {
		for _, run := range []string{strange, `\`, `\', false); CREATE TABLE public.pwned (); --`, `\' OR true OR session_user::text = ANY (--`} {
			t.Run(conforming+" "+run, func(t *testing.T) { holdsRun(t, conforming, run) })
		}
	}
}

func holdsRun(t *testing.T, conforming, run string) {
	admin := login(t, testserver.Postgres(t))
	admin.do("CREATE TABLE a (id integer PRIMARY KEY); DO 'BEGIN EXECUTE format(''ALTER DATABASE %I SET standard_conforming_strings = " + conforming + "'', current_database()); END'")
	app := login(t, admin.address)
	account, _ := role(t, admin, "builder")
	db := openFor(t, admin.address, driver.Target, run)
	if err := db.Ledger.Prepare(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	epoch, err := db.Ledger.TakeOver(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a := tableOf(t, db, "a")
	if err := db.Guard.Shut(t.Context(), a, epoch); err != nil {
		t.Fatal(err)
	}
	if err := app.try("INSERT INTO a VALUES (1)"); err == nil || !strings.Contains(err.Error(), "25006") {
		t.Errorf("the application's write: %v", err)
	}
	b := row.NewBatch(1)
	b.AppendString("2")
	if err := loadRange(t, db.Loader, driver.Intake{Table: a, Shape: shapeOf(a), Range: row.Range{Number: 1}, Epoch: epoch}, b); err != nil {
		t.Errorf("a write of the run's own: %v", err)
	}
	shadow := driver.Shadow{Place: "new release", Account: account}
	for range 2 { // the second time it is known for this run's
		if err := db.Shadows.Make(t.Context(), shadow); err != nil {
			t.Error(err)
		}
	}
	if err := db.Shadows.Drop(t.Context(), shadow); err != nil {
		t.Error(err)
	}
	if got := admin.ask("SELECT string_agg(id::text, ' ') FROM a"); got != "2" {
		t.Errorf("the table holds %s", got)
	}
	admin.harmed("the run " + run)
}
