package mysql

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// pair is a table at both sides, captured at the source.
type pair struct {
	src, dst    *side
	from, to    *schema.Table
	read, write schema.Shape
	epoch       int64
	numbers     map[int]int64
}

func newPair(t *testing.T, create string) *pair {
	p := &pair{src: source(t), dst: target(t), numbers: map[int]int64{}}
	p.src.do(create)
	p.dst.do(create)
	p.from, p.to = p.src.inspect("p"), p.dst.inspect("p")
	p.read, p.write, p.epoch = p.src.install(p.from), shapeOf(p.to), p.dst.takeOver()
	return p
}

// replay takes, applies and forgets one batch of a lane, with the keys to mend.
func (p *pair) replay(lane, lanes, most int) int {
	t := p.src.t
	keys, images, mended := row.NewBatch(len(p.read.Key)), row.NewBatch(p.read.Width()), row.NewBatch(len(p.read.Key))
	stamp, err := p.dst.Lists.Peek(p.dst.ctx, driver.Repairs, p.to, 100, mended)
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.src.Recorder.Take(p.src.ctx, driver.Want{Table: p.from, Shape: p.read, Lane: lane, Lanes: lanes, Most: most, Also: mended}, keys, images)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if keys.Len() == 0 {
		return 0
	}
	p.numbers[lane]++
	delta := driver.Delta{Table: p.to, Shape: p.write, Lane: lane, Epoch: p.epoch, Number: p.numbers[lane], Keys: keys, Images: images, Mended: mended, Stamp: stamp, Note: true}
	for _, want := range []driver.Class{driver.Unclassified, driver.Exists} {
		if err := p.dst.Applier.Apply(p.dst.ctx, delta); p.dst.Dialect.Classify(err) != want || err != nil && want == driver.Unclassified {
			t.Fatal(err)
		}
	}
	if err := r.Forget(p.src.ctx, p.numbers[lane]); err != nil {
		t.Fatal(err)
	}
	return keys.Len()
}

func (p *pair) converge(lanes int) {
	t := p.src.t
	t.Helper()
	for range 200 {
		moved := 0
		for lane := range lanes {
			moved += p.replay(lane, lanes, 7)
		}
		if moved == 0 {
			break
		}
	}
	same(t, "target", p.dst.read(driver.Query{Table: p.to, Shape: p.write, Order: driver.KeyOrder}),
		p.src.read(driver.Query{Table: p.from, Shape: p.read, Order: driver.KeyOrder}))
	if n, err := p.dst.Lists.Count(p.dst.ctx, driver.Repairs, p.to); err != nil || n != 0 {
		t.Fatal(n, err)
	}
}

// TestRandomWritesConverge writes at random, with swaps of unique values, key changes and rollbacks, replays in small
// batches while it goes on, and finds both sides equal.
func TestRandomWritesConverge(t *testing.T) {
	uniques := ", UNIQUE KEY (u), UNIQUE KEY (w(4)), UNIQUE KEY (g)"
	for i, c := range []struct {
		collation, uniques string
		manner             manner
	}{
		{"utf8mb4_general_ci", uniques, anew},
		{"utf8mb4_nopad_bin", uniques, inPlace},
		{"utf8mb4_nopad_bin", "", upsert},
		{"utf8mb4_general_ci", uniques, anew},
		{"utf8mb4_nopad_bin", uniques, inPlace},
		{"utf8mb4_nopad_bin", "", upsert},
	} {
		lanes := 1 + i/3
		t.Run(fmt.Sprintf("%d lanes, manner %d", lanes, c.manner), func(t *testing.T) {
			p := newPair(t, `CREATE TABLE p (k VARCHAR(10) COLLATE `+c.collation+`, n INT, u INT, w VARCHAR(30), g INT AS (u % 1000) STORED, PRIMARY KEY (k, n)`+c.uniques+`)`)
			if m := (&apply{delta: driver.Delta{Table: p.to, Shape: p.write}}).manner(); m != c.manner {
				t.Fatalf("manner %d", m)
			}
			a := p.src.app()
			rnd := rand.New(rand.NewPCG(1, uint64(lanes)))
			for range 300 {
				var statements []string
				k, n := string("aAbBcC"[rnd.IntN(6)]), rnd.IntN(4)
				i, j := rnd.IntN(30), rnd.IntN(30)
				switch rnd.IntN(7) {
				case 0, 1:
					statements = []string{fmt.Sprintf("REPLACE INTO p (k,n,u,w) VALUES ('%s',%d,%d,'%04d tail')", k, n, i, j)}
				case 2:
					statements = []string{fmt.Sprintf("DELETE FROM p WHERE k='%s' AND n=%d", k, n)}
				case 3:
					statements = []string{fmt.Sprintf("UPDATE IGNORE p SET k='%s' WHERE n=%d", k, n)}
				case 4:
					statements = []string{fmt.Sprintf("UPDATE p SET u=u+500 WHERE u=%d", i), fmt.Sprintf("UPDATE p SET u=%d WHERE u=%d", i, j), fmt.Sprintf("UPDATE p SET u=%d WHERE u=%d", j, i+500)}
				case 5:
					statements = []string{"UPDATE p SET n=n+1 ORDER BY n DESC", "UPDATE p SET n=n-1 ORDER BY n"}
				case 6:
					statements = []string{"DELETE FROM p WHERE n > 1"}
				}
				a.do("BEGIN")
				for _, sql := range statements {
					a.do(sql)
				}
				if rnd.IntN(5) == 0 {
					a.do("ROLLBACK")
				} else {
					a.do("COMMIT")
				}
				if rnd.IntN(10) == 0 {
					p.replay(rnd.IntN(lanes), lanes, 5)
				}
			}
			p.converge(lanes)
		})
	}
}

// TestAnOlderEpochAppliesNothing also repeats a batch and leaves one out.
func TestAnOlderEpochAppliesNothing(t *testing.T) {
	p := newPair(t, "CREATE TABLE p (id INT PRIMARY KEY, ts TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, n TIMESTAMP NULL)")
	delta := driver.Delta{Table: p.to, Shape: p.write, Epoch: p.epoch, Number: 1, Keys: batch(1, []string{"0"}, []string{"2"}), Images: batch(3, []string{"0", "2001-01-01 00:00:00", "~"})}
	if err := p.dst.Applier.Apply(t.Context(), delta); err != nil {
		t.Fatal(err)
	}
	p.dst.takeOver()
	delta.Number = 2
	p.dst.class(p.dst.Applier.Apply(t.Context(), delta), driver.Fenced)
	delta.Epoch++
	delta.Number = 4
	if err := p.dst.Applier.Apply(t.Context(), delta); err == nil {
		t.Fatal("a batch was left out")
	}
	delta.Number, delta.Images = 1, row.NewBatch(3)
	p.dst.class(p.dst.Applier.Apply(t.Context(), delta), driver.Exists)
	same(t, "rows", p.dst.read(driver.Query{Table: p.to, Shape: p.write}), []string{"0|2001-01-01 00:00:00|~"})
	if n, err := p.dst.Ledger.Number(t.Context(), p.to, 0); err != nil || n.Number != 1 {
		t.Fatal(n, err)
	}
}

// TestSharedValuesArePartedBeforeTheKeyIsBuilt is HAZARDS C18.
func TestSharedValuesArePartedBeforeTheKeyIsBuilt(t *testing.T) {
	s := target(t)
	s.do("CREATE TABLE p (id INT PRIMARY KEY, u VARCHAR(9) COLLATE utf8mb4_general_ci, n INT)", "INSERT INTO p VALUES (1,'a',1),(2,'A ',1),(3,'b',1),(4,NULL,1),(5,NULL,1)")
	tb := s.inspect("p")
	shape := shapeOf(tb)
	k := &schema.Key{Name: "u", Columns: []schema.Part{{Column: "u"}, {Column: "n"}}}
	tb.Uniques = []*schema.Key{k}
	epoch := s.takeOver()
	if _, err := s.Applier.Part(s.ctx, tb, shape, k, epoch-1); s.Dialect.Classify(err) != driver.Fenced {
		t.Fatal(err)
	}
	for _, want := range []int64{2, 0} {
		if n, err := s.Applier.Part(s.ctx, tb, shape, k, epoch); err != nil || n != want {
			t.Fatal(n, err)
		}
	}
	s.plan(s.Dialect.CreateKeys(tb))
	keys := row.NewBatch(1)
	stamp, err := s.Lists.Peek(s.ctx, driver.Repairs, tb, 10, keys)
	if err != nil || strings.Join(show(keys), " ") != "1 2" && strings.Join(show(keys), " ") != "2 1" {
		t.Fatal(show(keys), err)
	}
	if err := s.Lists.Strike(s.ctx, driver.Repairs, tb, keys, stamp); err != nil {
		t.Fatal(err)
	}
	if n, _ := s.Lists.Count(s.ctx, driver.Repairs, tb); n != 0 {
		t.Fatal(n)
	}
}

// TestUniqueValuesThatChangeHands writes rows in place, moves a value from one row to another in and out of a batch, and adds
// and removes rows.
func TestUniqueValuesThatChangeHands(t *testing.T) {
	p := newPair(t, "CREATE TABLE p (id INT PRIMARY KEY, u VARCHAR(9) COLLATE utf8mb4_general_ci UNIQUE, v INT)")
	a := p.src.app()
	a.do("INSERT INTO p VALUES (1,'a',1),(2,'b',1),(3,'c',1),(4,NULL,1),(5,'e',1)")
	p.converge(1)
	for _, statements := range [][]string{
		{"UPDATE p SET v = 2 WHERE id <> 3", "UPDATE p SET u = 'A' WHERE id = 1"},                                              // stays, as the key compares it
		{"UPDATE p SET u = 'x' WHERE id = 1", "UPDATE p SET u = 'a' WHERE id = 2", "UPDATE p SET u = 'b', v = 3 WHERE id = 1"}, // two swap
		{"UPDATE p SET u = NULL WHERE id = 3", "UPDATE p SET u = 'c' WHERE id = 4"},                                            // to and from NULL
		{"DELETE FROM p WHERE id = 5", "INSERT INTO p VALUES (6,'e',1)", "UPDATE p SET v = 9 WHERE id = 2"},
		{"UPDATE p SET id = id + 10 ORDER BY id DESC"},
	} {
		a.do(statements...)
		p.converge(1)
	}
	a.do("UPDATE p SET u = 'q' WHERE id = 12", "UPDATE p SET u = 'a' WHERE id = 11") // the first is in the next batch
	for p.replay(0, 1, 1) > 0 {
	}
	p.converge(1)
	shared := driver.Delta{
		Table: p.to, Shape: p.write, Epoch: p.epoch, Number: p.numbers[0] + 1, Keys: batch(1, []string{"11"}, []string{"99"}),
		Images: batch(3, []string{"11", "a", "1"}, []string{"99", "A", "1"}),
	}
	p.dst.class(p.dst.Applier.Apply(t.Context(), shared), driver.Conflict)
	p.converge(1)
}

// TestStagesOfAnotherEngine applies where the server makes nothing but InnoDB.
func TestStagesOfAnotherEngine(t *testing.T) {
	p := newPair(t, "CREATE TABLE p (id INT PRIMARY KEY, v INT)")
	var held []*lease
	for range 4 { // every session for work
		l, err := p.dst.Applier.(*database).work.take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := l.run(t.Context(), "SET enforce_storage_engine=InnoDB"); err != nil {
			t.Fatal(err)
		}
		held = append(held, l)
	}
	for _, l := range held {
		l.back()
	}
	p.src.app().do("INSERT INTO p VALUES (1,1),(2,2)", "DELETE FROM p WHERE id = 2")
	p.converge(1)
}
