package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// replayer carries one table's changes from the source to the target, as replay does.
type replayer struct {
	p        *twins
	from, to *schema.Table
	here     schema.Shape
	there    schema.Shape
}

func (p *twins) replayer(t testing.TB, name string) *replayer {
	t.Helper()
	from, here := captured(t, p.source, name)
	to := tableOf(t, p.target, name)
	to.Number = from.Number
	return &replayer{p: p, from: from, to: to, here: here, there: shapeOf(to)}
}

// step takes and applies one batch, the repair list with it; false when there was nothing.
func (r *replayer) step(t testing.TB, most int) bool {
	t.Helper()
	ctx := t.Context()
	mended, keys, images := row.NewBatch(len(r.here.Key)), row.NewBatch(len(r.here.Key)), row.NewBatch(r.here.Width())
	stamp, err := r.p.target.Lists.Peek(ctx, driver.Repairs, r.to, most, mended)
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := r.p.source.Recorder.Take(ctx, driver.Want{Table: r.from, Shape: r.here, Lanes: 1, Most: most, Also: mended}, keys, images)
	if err != nil {
		t.Fatal(err)
	}
	defer receipt.Close()
	if receipt.Emptied() {
		if err := r.wholeTarget(t, keys, images); err != nil {
			t.Fatal(err)
		}
	}
	if receipt.Entries() == 0 && mended.Len() == 0 {
		return false
	}
	last, err := r.p.target.Ledger.Number(ctx, r.to, 0)
	if err == nil {
		err = receipt.Durable(ctx, last.Number+1)
	}
	if err == nil {
		err = r.p.target.Applier.Apply(ctx, driver.Delta{
			Table: r.to, Shape: r.there, Epoch: r.p.epoch, Number: last.Number + 1, Keys: keys, Images: images, Mended: mended, Stamp: stamp, Note: true,
		})
	}
	if err == nil {
		err = receipt.Forget(ctx, last.Number+1)
	}
	if err != nil {
		t.Fatal(err)
	}
	return true
}

// wholeTarget replaces keys and images by those of every key that the target has or that was taken.
func (r *replayer) wholeTarget(t testing.TB, keys, images *row.Batch) error {
	all := rows(t, r.p.target.Reader, driver.Query{Table: r.to, Shape: r.there.Keys()})
	known := map[string]bool{}
	for i := range keys.Len() {
		known[string(keys.Row(i))] = true
	}
	for i := range all.Len() {
		if !known[string(all.Row(i))] {
			if err := keys.AppendRow(all.Row(i)); err != nil {
				return err
			}
		}
	}
	images.Reset()
	now := rows(t, r.p.source.Reader, driver.Query{Table: r.from, Shape: r.here, Keys: keys})
	for i := range now.Len() {
		if err := images.AppendRow(now.Row(i)); err != nil {
			return err
		}
	}
	return nil
}

// drain replays until nothing is left and compares the two tables.
func (r *replayer) drain(t testing.TB, most int) {
	t.Helper()
	for n := 0; r.step(t, most); n++ {
		if n > 5000 {
			t.Fatal("replay does not come to an end")
		}
	}
	all := "SELECT coalesce(string_agg(x::text, E'\n' ORDER BY x::text), '') FROM " + dialect{}.table(r.from.Name) + " AS x"
	if a, b := r.p.app.ask(all), r.p.there.ask(all); a != b {
		t.Fatalf("the target differs:\n%s\n---\n%s", a, b)
	}
}

const accounts = `CREATE TABLE a (id integer PRIMARY KEY, email text UNIQUE, a integer, b integer, doc jsonb,
	up text GENERATED ALWAYS AS (upper(email)) STORED UNIQUE, UNIQUE (a, b)); CREATE UNIQUE INDEX lower_email ON a (lower(email)) WHERE a > 0`

// TestReplayConverges through swaps of unique values, key changes and truncations, in batches too small to hold them.
func TestReplayConverges(t *testing.T) {
	p := pair(t, accounts)
	r := p.replayer(t, "a")
	p.app.do("INSERT INTO a SELECT g, 'e' || g, g, g, '{}' FROM generate_series(1, 40) g")
	r.drain(t, 1000)
	dice := rand.New(rand.NewPCG(1, 2))
	id := func() int { return 1 + dice.IntN(60) }
	moves := []func() string{
		func() string {
			x, y := id(), id()
			return fmt.Sprintf("BEGIN; UPDATE a SET email = 'tmp' WHERE id = %[1]d; UPDATE a SET email = 'e%[1]d' WHERE id = %[2]d; UPDATE a SET email = 'e%[2]d' WHERE id = %[1]d; COMMIT", x, y)
		},
		func() string { return fmt.Sprintf("UPDATE a SET id = %d WHERE id = %d", id(), id()) },
		func() string { return fmt.Sprintf("DELETE FROM a WHERE id = %d", id()) },
		func() string {
			return fmt.Sprintf("INSERT INTO a VALUES (%d, 'e%d', %d, NULL, NULL) ON CONFLICT (id) DO UPDATE SET a = EXCLUDED.a + 1", id(), id(), id())
		},
		func() string {
			return "BEGIN; SET CONSTRAINTS ALL DEFERRED; UPDATE a SET id = id + 1000; UPDATE a SET id = id - 999; COMMIT"
		},
		func() string {
			return fmt.Sprintf("UPDATE a SET email = upper(email), a = -coalesce(a, 0) WHERE id = %d", id())
		},
		func() string { return "DELETE FROM a WHERE id > 55" },
	}
	for i := range 400 {
		if err := p.app.try(moves[dice.IntN(len(moves))]()); err != nil {
			_ = p.app.try("ROLLBACK")
		}
		if i == 200 {
			p.app.do("BEGIN; TRUNCATE a; INSERT INTO a SELECT g, 'e' || (g + 1), g, g + 1, '{\"n\": 1}' FROM generate_series(1, 50) g; COMMIT")
		}
		if dice.IntN(4) == 0 {
			r.step(t, 1+dice.IntN(5))
		}
	}
	r.drain(t, 3)
	if n := p.there.ask("SELECT count(*) FROM whimbrel_target.list WHERE list = 'r'"); n != "0" {
		t.Errorf("%s repairs left", n)
	}
	if n := p.there.ask("SELECT count(*) > 20 FROM whimbrel_target.list WHERE list = 'c'"); n != "t" {
		t.Errorf("the changed list is too short")
	}
}

// TestReplayKeepsExactKeys where keys are equal that are not the same.
func TestReplayKeepsExactKeys(t *testing.T) {
	p := pair(t, `CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false); CREATE TABLE a (id text COLLATE ci PRIMARY KEY, v integer);
		CREATE TABLE b (id numeric PRIMARY KEY, v integer); CREATE TABLE c (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v integer)`)
	a, b, c := p.replayer(t, "a"), p.replayer(t, "b"), p.replayer(t, "c")
	p.app.do("INSERT INTO a VALUES ('anna', 1), ('bob', 2); INSERT INTO b VALUES (1.0, 1); INSERT INTO c (v) VALUES (1), (2)")
	a.drain(t, 1)
	b.drain(t, 1)
	c.drain(t, 10)
	p.app.do("UPDATE a SET id = 'ANNA' WHERE id = 'anna'; UPDATE b SET id = 1.00; DELETE FROM a WHERE id = 'bob'; INSERT INTO a VALUES ('Bob', 3); UPDATE c SET v = 3")
	a.drain(t, 1)
	b.drain(t, 1)
	c.drain(t, 1)
	if got := p.there.ask("SELECT id, v FROM a ORDER BY v"); got != "ANNA,1;Bob,3" {
		t.Errorf("got %s", got)
	}
}

// A batch behind another waits for no session: where all are taken, by batches that wait for their turn perhaps, it is not staged.
func TestABatchBehindWaitsForNoSession(t *testing.T) {
	p := pair(t, "CREATE TABLE q (id int PRIMARY KEY, v text)")
	r := p.replayer(t, "q")
	keys := row.NewBatch(1)
	keys.AppendString("1")
	d := driver.Delta{Table: r.to, Shape: r.there, Keys: keys, Images: row.NewBatch(r.there.Width())}
	var held []driver.Staged
	for range 4 { // all that it may hold
		staged, err := p.target.Stager.Stage(t.Context(), d, false)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, staged)
	}
	if staged, err := p.target.Stager.Stage(t.Context(), d, true); staged != nil || err != nil {
		t.Fatalf("%v, %v", staged, err)
	}
	for _, staged := range held {
		staged.Close()
	}
	staged, err := p.target.Stager.Stage(t.Context(), d, true)
	if staged == nil || err != nil {
		t.Fatalf("%v, %v", staged, err)
	}
	staged.Close()
}

// TestValuesThatOneIndexHoldsEqual are found by that index's own operator, and a column that INSERT alone may fill is filled.
func TestValuesThatOneIndexHoldsEqual(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY, u integer, n integer GENERATED ALWAYS AS IDENTITY)")
	for _, u := range []*user{p.app, p.there} {
		u.do("CREATE FUNCTION size(integer, integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT btint4cmp(abs($1), abs($2))'")
		class := "CREATE OPERATOR CLASS sizes FOR TYPE integer USING btree AS "
		for i, sign := range []string{"<", "<=", "=", ">=", ">"} {
			u.do(fmt.Sprintf("CREATE FUNCTION is_%d(integer, integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT public.size($1, $2) %s 0'", i, sign))
			u.do(fmt.Sprintf("CREATE OPERATOR %s# (FUNCTION = is_%d, LEFTARG = integer, RIGHTARG = integer)", sign, i))
			class += fmt.Sprintf("OPERATOR %d %s#, ", i+1, sign)
		}
		u.do(class + "FUNCTION 1 size(integer, integer); CREATE UNIQUE INDEX ON a (u sizes)")
	}
	r := p.replayer(t, "a")
	p.app.do("INSERT INTO a (id, u) VALUES (1, 5), (2, 6), (3, NULL)")
	r.drain(t, 10)
	p.app.do("UPDATE a SET u = 7 WHERE id = 1; UPDATE a SET u = -5 WHERE id = 2; DELETE FROM a WHERE id = 3; INSERT INTO a (id, u) VALUES (4, -6)")
	r.drain(t, 1)
	keys, images := row.NewBatch(1), row.NewBatch(3)
	keys.AppendString("2")
	for _, cell := range []string{"2", "-7", "2"} {
		images.AppendString(cell)
	}
	last, err := p.target.Ledger.Number(t.Context(), r.to, 0)
	if err == nil {
		err = p.target.Applier.Apply(t.Context(), driver.Delta{Table: r.to, Shape: r.there, Epoch: p.epoch, Number: last.Number + 1, Keys: keys, Images: images})
	}
	if err != nil {
		t.Fatal(err)
	}
	r.known(t, last.Number+1)
	if got := p.there.ask("SELECT id, u FROM a ORDER BY id"); got != "2,-7;4,-6" {
		t.Errorf("the row that held 7 and was to hold no -7 beside it: %s", got)
	}
	p.app.do("UPDATE a SET u = u WHERE id = 2")
	r.drain(t, 1)
}

// TestAGeneratorThatIsAlwaysAskedIsNot: a row keeps the number that it has at the source, when it is written again too.
func TestAGeneratorThatIsAlwaysAskedIsNot(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY, n integer GENERATED ALWAYS AS IDENTITY (START WITH 100), v text)")
	r := p.replayer(t, "a")
	p.app.do("INSERT INTO a (id, v) VALUES (1, 'a'), (2, 'b')")
	r.drain(t, 10)
	p.app.do("UPDATE a SET v = 'c'; DELETE FROM a WHERE id = 2")
	r.drain(t, 10)
	if got := p.there.ask("SELECT * FROM a"); got != "1,100,c" {
		t.Errorf("got %s", got)
	}
}

// TestRowsAreUpdatedWhereTheyAre, also beside a second unique key, unless they hold a value that another row is to have.
func TestRowsAreUpdatedWhereTheyAre(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY, u text UNIQUE, v integer)")
	r := p.replayer(t, "a")
	p.app.do("INSERT INTO a SELECT g, 'u' || g, 0 FROM generate_series(1, 40) AS g")
	r.drain(t, 100)
	p.there.do("CREATE TABLE gone (id integer); CREATE FUNCTION gone() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.gone VALUES (OLD.id); RETURN NULL; END';" +
		"CREATE TRIGGER gone AFTER DELETE ON a FOR EACH ROW EXECUTE FUNCTION gone(); ALTER TABLE a ENABLE ALWAYS TRIGGER gone")
	p.app.do("UPDATE a SET v = 1; UPDATE a SET u = 'new ' || id WHERE id < 20; DELETE FROM a WHERE id = 40")
	p.app.do("BEGIN; UPDATE a SET u = 'x' WHERE id = 30; UPDATE a SET u = 'u30' WHERE id = 31; UPDATE a SET u = 'u31' WHERE id = 30; UPDATE a SET u = 'u32' WHERE id = 999; COMMIT")
	r.drain(t, 100)
	if got := p.there.ask("SELECT id FROM gone ORDER BY 1"); got != "30;31;40" {
		t.Errorf("went and came back, or went: %s", got)
	}
}

// TestLanesReplayTogether: several lanes of one table take, apply and forget at the same time, while the table is written to
// and its keys change lanes.
func TestLanesReplayTogether(t *testing.T) {
	const lanes = 3
	p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY, v integer)")
	r := p.replayer(t, "a")
	p.app.do("INSERT INTO a SELECT g, 0 FROM generate_series(1, 300) AS g")
	var writing atomic.Bool
	writing.Store(true)
	var wg sync.WaitGroup
	failed := make([]error, lanes)
	for lane := range lanes {
		wg.Go(func() {
			for more := true; more && failed[lane] == nil; {
				last := !writing.Load()
				more, failed[lane] = r.stepLane(t.Context(), lane, lanes)
				more = more || !last
			}
		})
	}
	dice := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		_ = p.app.try(fmt.Sprintf("UPDATE a SET v = v + 1 WHERE id %% 10 = %d; UPDATE a SET id = id + 1000 WHERE id = %d; UPDATE a SET id = id - 1000 WHERE id = %d",
			dice.IntN(10), 1+dice.IntN(300), 1001+dice.IntN(300)))
	}
	writing.Store(false)
	wg.Wait()
	if err := errors.Join(failed...); err != nil {
		t.Fatal(err)
	}
	const all = "SELECT count(*), sum(v), md5(string_agg(a::text, ',' ORDER BY id)) FROM a"
	if here, there := p.app.ask(all), p.there.ask(all); here != there {
		t.Errorf("source %s, target %s", here, there)
	}
	if n := p.app.ask("SELECT count(*) FROM whimbrel_source.record_1"); n != "0" {
		t.Errorf("%s entries left", n)
	}
}

// stepLane takes and applies one batch of a lane; false when there was nothing.
func (r *replayer) stepLane(ctx context.Context, lane, lanes int) (bool, error) {
	keys, images := row.NewBatch(len(r.here.Key)), row.NewBatch(r.here.Width())
	receipt, err := r.p.source.Recorder.Take(ctx, driver.Want{Table: r.from, Shape: r.here, Lane: lane, Lanes: lanes, Most: 50}, keys, images)
	if err != nil {
		return false, err
	}
	defer receipt.Close()
	if receipt.Entries() == 0 {
		return false, nil
	}
	last, err := r.p.target.Ledger.Number(ctx, r.to, lane)
	if err == nil {
		err = receipt.Durable(ctx, last.Number+1)
	}
	if err == nil {
		err = r.p.target.Applier.Apply(ctx, driver.Delta{
			Table: r.to, Shape: r.there, Lane: lane, Epoch: r.p.epoch, Number: last.Number + 1, Keys: keys, Images: images,
		})
	}
	if err == nil {
		err = receipt.Forget(ctx, last.Number+1)
	}
	return true, err
}

// TestNothingFiresAtTheTarget: no trigger of the application, no default of it, changes a replayed row.
func TestNothingFiresAtTheTarget(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY, v text DEFAULT 'none'); CREATE TABLE log (x text)")
	p.there.do(`CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.v := ''fired''; INSERT INTO log VALUES (''fired''); RETURN NEW; END';
		CREATE TRIGGER t BEFORE INSERT OR UPDATE ON a FOR EACH ROW EXECUTE FUNCTION f()`)
	r := p.replayer(t, "a")
	p.app.do("INSERT INTO a VALUES (1, NULL), (2, 'two')")
	r.drain(t, 10)
	p.app.do("UPDATE a SET v = 'x'")
	r.drain(t, 10)
	if got := p.there.ask("SELECT count(*) FROM log"); got != "0" {
		t.Errorf("a trigger fired %s times", got)
	}
}

// TestAnOldEpochWritesNothing: it is refused at its fence, and a transaction it had open is ended.
func TestAnOldEpochWritesNothing(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY, v text)")
	to := tableOf(t, p.target, "a")
	b := row.NewBatch(2)
	b.AppendString("1")
	b.AppendString("zombie")
	in := driver.Intake{Table: to, Shape: shapeOf(to), Range: row.Range{Number: 1}, Epoch: p.epoch}
	frozen, err := p.target.Loader.Load(t.Context(), in)
	if err == nil {
		err = frozen.Write(t.Context(), b)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer frozen.Close()
	other := open(t, p.there.address, driver.Target)
	epoch, err := other.Ledger.TakeOver(t.Context())
	if err != nil || epoch <= p.epoch {
		t.Fatalf("epoch %d after %d: %v", epoch, p.epoch, err)
	}
	if _, err := frozen.Commit(t.Context()); class(err) != driver.Lost {
		t.Errorf("the frozen load: %v", err)
	}
	if _, err := p.target.Loader.Load(t.Context(), in); class(err) != driver.Fenced {
		t.Errorf("a load of the old epoch: %v", err)
	}
	keys := row.NewBatch(1)
	keys.AppendString("1")
	delta := driver.Delta{Table: to, Shape: shapeOf(to), Epoch: p.epoch, Number: 1, Keys: keys, Images: b}
	if err := p.target.Applier.Apply(t.Context(), delta); class(err) != driver.Fenced {
		t.Errorf("a batch of the old epoch: %v", err)
	}
	if err := p.target.Ledger.Clear(t.Context(), to, p.epoch); class(err) != driver.Fenced {
		t.Errorf("Clear in the old epoch: %v", err)
	}
	in.Epoch = epoch
	for range 2 {
		err = loadRange(t, p.target.Loader, in, b)
	}
	if class(err) != driver.Exists {
		t.Errorf("the same range again: %v", err)
	}
	in.Range.Number = 2
	if err := loadRange(t, p.target.Loader, in, b); class(err) != driver.Conflict {
		t.Errorf("a duplicate: %v", err)
	}
	if got := p.there.ask("SELECT * FROM a"); got != "1,zombie" {
		t.Errorf("the table holds %q", got)
	}
	ranges, err := p.target.Ledger.Ranges(t.Context(), to)
	if err != nil || len(ranges) != 1 || ranges[1] != 1 {
		t.Errorf("ranges %v, %v", ranges, err)
	}
	if err := p.target.Ledger.Prepare(t.Context(), "another"); err == nil || !strings.Contains(err.Error(), "test-1") {
		t.Errorf("a book of another move: %v", err)
	}
}

// TestPartMakesAKeyFit: rows that share a value go on the repair list, and the key can be built.
func TestPartMakesAKeyFit(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY, u text, n integer)")
	to := tableOf(t, p.target, "a")
	p.there.do("INSERT INTO a VALUES (1, 'x', 1), (2, 'x', 2), (3, 'y', NULL), (4, NULL, 4), (5, NULL, 5), (6, 'X', 6)")
	for _, c := range []struct {
		key   *schema.Key
		parts string
	}{
		{&schema.Key{Name: "u", Columns: []schema.Part{{Column: "u"}}}, "1;2"},
		{&schema.Key{Name: "low", Columns: []schema.Part{{Expression: "lower(u)"}}, Where: "(n IS NOT NULL)"}, "1;2"},
	} {
		n, err := p.target.Applier.Part(t.Context(), to, shapeOf(to), c.key, p.epoch)
		if err != nil || n != int64(strings.Count(c.parts, ";")+1) && c.key.Name == "u" {
			t.Fatalf("%s: %d rows, %v", c.key.Name, n, err)
		}
		to.Uniques = []*schema.Key{c.key}
		run(t, p.target, p.target.Dialect.CreateKeys(to)[1:])
	}
	keys := row.NewBatch(1)
	stamp, err := p.target.Lists.Peek(t.Context(), driver.Repairs, to, 10, keys)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(text(keys), ";")
	slices.Sort(got)
	if strings.Join(got, ";") != "1;2" {
		t.Errorf("repairs %v", got)
	}
	if err := p.target.Lists.Strike(t.Context(), driver.Repairs, to, keys, 0); err != nil {
		t.Fatal(err)
	}
	if n, err := p.target.Lists.Count(t.Context(), driver.Repairs, to); err != nil || n != 2 {
		t.Errorf("%d repairs after a strike with an older stamp, %v", n, err)
	}
	if err := p.target.Lists.Strike(t.Context(), driver.Repairs, to, keys, stamp); err != nil {
		t.Fatal(err)
	}
	if n, err := p.target.Lists.Count(t.Context(), driver.Repairs, to); err != nil || n != 0 {
		t.Errorf("%d repairs left, %v", n, err)
	}
}

// TestAnIndexBuiltMeanwhile: a session that knew the table before a unique key was built learns of it.
func TestAnIndexBuiltMeanwhile(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY, u text)")
	r := p.replayer(t, "a")
	p.app.do("INSERT INTO a VALUES (1, 'x'), (2, 'y')")
	r.drain(t, 10)
	p.app.do("ALTER TABLE a ADD UNIQUE (u) DEFERRABLE INITIALLY DEFERRED; UPDATE a SET u = CASE id WHEN 1 THEN 'y' ELSE 'x' END")
	p.there.do("CREATE UNIQUE INDEX ON a (u)")
	keys, images := row.NewBatch(1), row.NewBatch(2)
	keys.AppendString("1")
	images.AppendString("1")
	images.AppendString("y")
	d := driver.Delta{Table: r.to, Shape: r.there, Epoch: p.epoch, Number: 2, Keys: keys, Images: images}
	err := p.target.Applier.Apply(t.Context(), d)
	if class(err) == driver.Conflict {
		err = p.target.Applier.Apply(t.Context(), d)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.known(t, d.Number)
	r.drain(t, 1)
}

func TestARowThatDoesNotFitNamesItsColumn(t *testing.T) {
	p := pair(t, "CREATE TABLE a (id integer PRIMARY KEY, v varchar(3), n numeric(4,2), ts timestamp(0))")
	to := tableOf(t, p.target, "a")
	for i, bad := range [][]string{
		{"1", "abcd", "1.00", ""},
		{"1", "ab  ", "1.00", ""},
		{"1", "a\x00", "1.00", ""},
		{"x", "a", "1.00", ""},
		{"1", "a", "1.001", ""},
		{"1", "a", "100.00", ""},
		{"1", "a", "1.00", "2024-01-01 00:00:00.5"},
		{"1", "\xff", "1.00", ""},
	} {
		b := row.NewBatch(4)
		for _, cell := range bad {
			if cell == "" {
				b.AppendNull()
			} else {
				b.AppendString(cell)
			}
		}
		err := loadRange(t, p.target.Loader, driver.Intake{Table: to, Shape: shapeOf(to), Range: row.Range{Number: i}, Epoch: p.epoch}, b)
		if class(err) != driver.BadData || strings.Contains(err.Error(), "abcd") || strings.Contains(err.Error(), `"x"`) {
			t.Errorf("%q: %v", bad, err)
		}
		var cell *driver.CellError
		if !errors.As(err, &cell) && !strings.Contains(err.Error(), "column") && !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%q: no column is named: %v", bad, err)
		}
	}
	if n := p.there.ask("SELECT count(*) FROM a"); n != "0" {
		t.Errorf("%s rows kept", n)
	}
}
