package bench

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// The downtime: MariaDB → PostgreSQL with ten times the usual rows in uptime tables (4 GB at scale 1) and 50 MB in a downtime table,
// while an application writes 500 changes a second until it is stopped. What counts is the time from stop-application to
// open-target without the rest load, and that a tenth of the uptime tables takes the same: the downtime does not grow with them.

func init() {
	works = append(works, struct {
		name  string
		build func(b testing.TB, g *grounds) work
	}{"downtime/mariadb-postgres", downtimes})
}

// What the works of this file measure beside the rest. The seconds of the downtime's steps are named after them.
const (
	downtime quantity = "downtime_s"  // from stop-application to open-target, without load-rest
	restLoad quantity = "load_rest_s" // which is not in it
	written  quantity = "changes_s"   // what the application wrote a second, from the program's start to the gate
)

// restRows is how many rows of line make 50 MB.
const restRows = 330_000

func downtimes(b testing.TB, g *grounds) work {
	tenth := "a tenth of it"
	return work{
		title: "downtime MariaDB → PostgreSQL, 500 changes/s",
		contestants: []contestant{
			{name: ours, run: func(b testing.TB) (outcome, error) { return g.downtime(b, "large", 10) }},
			{name: tenth, run: func(b testing.TB) (outcome, error) { return g.downtime(b, "small", 1) }},
		},
		figures: []figure{{downtime, atMost, 15, ""}, {downtime, shareAtMost, 1.10, tenth}, bulkMemory},
	}
}

// downtime moves a source of so many times the usual rows.
func (g *grounds) downtime(b testing.TB, name string, times int) (outcome, error) {
	b.Helper()
	from := g.manyTimes(b, name, times)
	to := g.fresh(b, "postgres", target, "bench")
	to.settle(b)
	m := g.newMove(b, from, to, "procedure: downtime-optimized", "tables: {uptime: [line, wide]}",
		"application: {stop: 'touch stop; while [ ! -e stopped ]; do sleep 0.02; done'}")
	app := g.write(b, from, m.dir, g.rows("line")*times)
	began := time.Now()
	all, err := m.run(b, "", "run", "--yes")
	changes, broken := app.end()
	if err == nil {
		err = broken
	}
	if err != nil {
		return outcome{}, err
	}
	stop := all[all.find("started stop-application")].at
	o := outcome{sample: all.between(b, "started stop-application", "done open-target"), note: all.steps()}
	o.sample[resident] = all.between(b, "", "")[resident]
	o.sample[restLoad] = all.between(b, "started load-rest", "done load-rest")[wall]
	o.sample[downtime] = o.sample[wall] - o.sample[restLoad]
	o.sample[written] = float64(changes) / stop.Sub(began).Seconds()
	for _, step := range []string{"stop-application", "shut-source", "drain", "set-sequences", "add-constraints", "verify-downtime", "open-target"} {
		o.sample[quantity(step)] = all.between(b, "started "+step, "done "+step)[wall]
	}
	if err := same(from, to, "", "line", "wide"); err != nil {
		return outcome{}, err
	}
	return o, sameRest(from, to)
}

// sameRest is same for the table rest, which has the columns of line.
func sameRest(from, to database) error {
	question := func(d database) string {
		return strings.Replace(sums(d.product, "line"), " FROM line", " FROM rest", 1)
	}
	want, err := from.answer(question(from))
	if err != nil {
		return err
	}
	got, err := to.answer(question(to))
	if err == nil && got != want {
		err = fmt.Errorf("table rest differs:\n  source %s\n  target %s", want, got)
	}
	return err
}

// manyTimes returns a MariaDB source with so many times the usual rows in line and wide, and the table rest. Again: the same one.
func (g *grounds) manyTimes(b testing.TB, name string, times int) database {
	b.Helper()
	if d, ok := g.sources[name]; ok {
		return d
	}
	d := g.fresh(b, "mariadb", source, name)
	d.tables(b)
	d.do(b, "CREATE TABLE rest LIKE line")
	larger := *g
	larger.scale *= float64(times)
	larger.fill(b, d, "line", "wide")
	d.do(b, fmt.Sprintf("SET sql_log_bin=0; INSERT INTO rest SELECT * FROM line LIMIT %d", min(int(restRows*g.scale), larger.rows("line"))))
	d.do(b, "SET sql_log_bin=0; ANALYZE TABLE line, wide, rest")
	d.settle(b)
	g.sources[name] = d
	return d
}

// application writes to the table line until it finds that it is to stop.
type application struct {
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	changes int
	err     error
}

// The application makes so many changes a second, so many in a transaction.
const (
	changesASecond = 500
	changesAtOnce  = 5
)

// write starts the application in the folder of a move, whose stop command makes a file there and waits for another one.
func (g *grounds) write(b testing.TB, d database, dir string, rows int) *application {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	a := &application{cancel: cancel}
	c := d.client("")
	c.Args = append(c.Args[:len(c.Args)-3], d.name) // statements come from its standard input
	in, err := c.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	var said strings.Builder
	c.Stderr = &said
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	a.wg.Go(func() {
		a.err = a.go500(ctx, in, filepath.Join(dir, "stop"), rows)
		_ = in.Close()
		if err := c.Wait(); err != nil && a.err == nil { // its last transaction has been answered
			a.err = fmt.Errorf("the application: %w\n%s", err, tail(said.String()))
		}
		if err := os.WriteFile(filepath.Join(dir, "stopped"), nil, 0o600); err != nil && a.err == nil {
			a.err = err
		}
	})
	b.Cleanup(func() { _, _ = a.end() })
	return a
}

func (a *application) go500(ctx context.Context, to io.Writer, stop string, rows int) error {
	rng := rand.New(rand.NewPCG(7, uint64(time.Now().UnixNano())))
	tick := time.NewTicker(time.Second * changesAtOnce / changesASecond)
	defer tick.Stop()
	for began := time.Now(); ; {
		for float64(a.changes) > time.Since(began).Seconds()*changesASecond { // a tick that was missed is made up for
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
		if _, err := os.Stat(stop); err == nil {
			return nil
		}
		text := []byte("BEGIN;")
		for range changesAtOnce {
			text = change(text, rng, rows)
		}
		if _, err := to.Write(append(text, "COMMIT;\n"...)); err != nil {
			return fmt.Errorf("the application: %w", err)
		}
		a.changes += changesAtOnce
	}
}

// change appends one statement: mostly an update of some row, now and then a row that is new or one that goes.
func change(text []byte, rng *rand.Rand, rows int) []byte {
	row := rng.IntN(rows)
	order, number := row/4+1, row%4+1
	switch rng.IntN(10) {
	case 0:
		return fmt.Appendf(text, "DELETE FROM line WHERE l_orderkey=%d AND l_linenumber=%d;", order, number)
	case 1:
		return fmt.Appendf(text, "REPLACE INTO line SELECT l_orderkey, l_linenumber+10, l_partkey, l_suppkey, l_quantity, l_extendedprice, l_discount, l_tax, "+
			"l_returnflag, l_linestatus, l_shipdate, l_commitdate, l_receiptdate, l_shipinstruct, l_shipmode, l_comment FROM line WHERE l_orderkey=%d AND l_linenumber=%d;", order, number)
	}
	return fmt.Appendf(text, "UPDATE line SET l_quantity=l_quantity+0.01 WHERE l_orderkey=%d AND l_linenumber=%d;", order, number)
}

// end ends the application and says how many changes it made. Again: says so again.
func (a *application) end() (changes int, err error) {
	a.cancel()
	a.wg.Wait()
	return a.changes, a.err
}
