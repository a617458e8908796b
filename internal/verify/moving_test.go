package verify_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gomysql "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"       // the writer's client for PostgreSQL
	_ "github.com/ncruces/go-sqlite3/driver" // and for SQLite

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/mysql"
	"github.com/whimbrel/whimbrel/db/postgres"
	"github.com/whimbrel/whimbrel/db/sqlite"
	"github.com/whimbrel/whimbrel/internal/load"
	"github.com/whimbrel/whimbrel/internal/replay"
	"github.com/whimbrel/whimbrel/internal/testserver"
	"github.com/whimbrel/whimbrel/internal/verify"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// movingColumns are of a table that an application goes on writing to.
func movingColumns() []column {
	return []column{
		{name: "id", typ: schema.Type{Kind: row.Int, Precision: 64}},
		{name: "n", typ: schema.Type{Kind: row.Int, Precision: 64}},
		{name: "note", typ: schema.Type{Kind: row.Text, Length: 60, Binary: true}, null: true},
		{name: "amount", typ: schema.Type{Kind: row.Decimal, Precision: 12, Scale: 2}},
	}
}

func movingRow(id int) [][]byte {
	return cells(strconv.Itoa(id), "0", "note "+strconv.Itoa(id), "0.50")
}

// hot rows are written to; the quiet ones are not, so that what is planted there stays.
const (
	hot   = 3000
	quiet = 1000
)

// writer changes rows of one table over a session of its own: updates, deletions, insertions, and changes of keys.
type writer struct {
	db     *sql.DB
	rnd    *rand.Rand
	there  map[int]bool
	writes atomic.Int64
}

// transaction makes so many changes.
func (w *writer) transaction(ctx context.Context, changes int) error {
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for range changes {
		if err := w.change(ctx, tx); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	w.writes.Add(int64(changes))
	return nil
}

func (w *writer) change(ctx context.Context, tx *sql.Tx) error {
	id, to := w.rnd.IntN(hot), w.rnd.IntN(hot)
	if w.rnd.IntN(2) == 0 { // half of all changes are of few rows
		id = w.rnd.IntN(30)
	}
	statement := ""
	switch {
	case !w.there[id]:
		statement = fmt.Sprintf("INSERT INTO twins (id, n, note, amount) VALUES (%d, 1, 'new %d', 1.25)", id, w.rnd.IntN(1000))
		w.there[id] = true
	case w.rnd.IntN(8) == 0:
		statement = fmt.Sprintf("DELETE FROM twins WHERE id = %d", id)
		w.there[id] = false
	case w.rnd.IntN(8) == 0 && !w.there[to]:
		statement = fmt.Sprintf("UPDATE twins SET id = %d WHERE id = %d", to, id)
		w.there[id], w.there[to] = false, true
	default:
		statement = fmt.Sprintf("UPDATE twins SET n = n + 1, note = 'changed %d', amount = %d.75 WHERE id = %d", w.rnd.IntN(1_000_000), w.rnd.IntN(1000), id)
	}
	_, err := tx.ExecContext(ctx, statement)
	return err
}

// run writes until the context ends, a thousand changes a second where the server can: what a slow moment left undone comes in
// larger transactions.
func (w *writer) run(ctx context.Context) error {
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for began := time.Now(); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-pace.C:
		}
		due := time.Since(began).Milliseconds() - w.writes.Load()
		if err := w.transaction(ctx, int(min(max(due, 1), 100))); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

// real is a product with a client of its own for an application.
type real struct {
	name    string
	driver  driver.Driver
	start   func(testing.TB) string
	connect func(t *testing.T, at string) *sql.DB
}

func reals() []real {
	opened := func(name string, dsn func(at string) string) func(*testing.T, string) *sql.DB {
		return func(t *testing.T, at string) *sql.DB {
			db, err := sql.Open(name, dsn(at))
			check(t, err)
			db.SetMaxOpenConns(1)
			t.Cleanup(func() { check(t, db.Close()) })
			return db
		}
	}
	return []real{
		{"postgres", postgres.Driver, testserver.Postgres, opened("pgx", func(at string) string { return at })},
		{"mariadb", mysql.Driver, testserver.MariaDB, opened("mysql", func(at string) string {
			u, _ := url.Parse(at)
			c := gomysql.NewConfig()
			c.User, c.Net, c.Addr, c.DBName = u.User.Username(), "tcp", u.Host, strings.TrimPrefix(u.Path, "/")
			c.Passwd, _ = u.User.Password()
			return c.FormatDSN()
		})},
		{"sqlite", sqlite.Driver, testserver.SQLite, opened("sqlite3", func(at string) string {
			return "file:" + strings.TrimPrefix(at, "sqlite:") + "?_pragma=busy_timeout(30000)&_pragma=journal_mode(wal)&_txlock=immediate"
		})},
	}
}

// at returns a function that opens a side of a database.
func (r real) at(t *testing.T, address string) func(driver.Side) *driver.Database {
	u, err := url.Parse(address)
	check(t, err)
	return func(side driver.Side) *driver.Database {
		d, err := r.driver.Open(t.Context(), u, driver.Options{Side: side, Run: "moving", Sessions: 4})
		check(t, err)
		t.Cleanup(func() { check(t, d.Close()) })
		return d
	}
}

// moving is a captured table with a writer at its source and a replay to its target.
type moving struct {
	source, target *end
	there          *sql.DB // somebody at the target
	writer         *writer
	running        *replay.Table
	pair           verify.Pair
}

func newMoving(t *testing.T, from, to real, rnd *rand.Rand) *moving {
	t.Helper()
	fromAddress, toAddress := from.start(t), to.start(t)
	m := &moving{
		writer: &writer{db: from.connect(t, fromAddress), rnd: rnd, there: map[int]bool{}}, there: to.connect(t, toAddress),
	}
	check(t, errors.Join(m.writer.db.Ping(), m.there.Ping()))
	openSource := from.at(t, fromAddress)
	m.source = newEnd(t, openSource, driver.Source, movingColumns(), true)
	m.target = newEnd(t, to.at(t, toAddress), driver.Target, movingColumns(), true)
	var rows [][][]byte
	for i := range hot + quiet {
		rows = append(rows, movingRow(i))
		m.writer.there[i] = i < hot
	}
	m.source.load(t, rows...)
	m.target.load(t, rows...)
	wait := driver.Wait{Lock: 5 * time.Second, Settled: 5 * time.Second}
	check(t, m.source.reads.Capturer.Install(t.Context(), m.source.table, m.source.shape, wait))
	check(t, m.source.reads.Capturer.Settle(t.Context(), []*schema.Table{m.source.table}, wait))
	lane := replay.NewLane(load.End{Database: m.source.reads, Table: m.source.table, Shape: m.source.shape},
		load.End{Database: m.target.writes, Table: m.target.table, Shape: m.target.shape}, m.target.epoch)
	lane.Note = func() bool { return true }
	m.running, m.pair = replay.NewTable(lane, make(chan struct{}, 1)), pairOf(m.source, m.target)
	return m
}

// plant writes to the quiet rows of the target as somebody else, and returns what must be found.
func (m *moving) plant(t *testing.T) map[string]verify.What {
	t.Helper()
	for _, statement := range []string{
		fmt.Sprintf("DELETE FROM twins WHERE id = %d", hot+1), fmt.Sprintf("UPDATE twins SET amount = 0.51 WHERE id = %d", hot+2),
		fmt.Sprintf("UPDATE twins SET note = 'note %d ' WHERE id = %d", hot+3, hot+3), fmt.Sprintf("UPDATE twins SET note = '' WHERE id = %d", hot+4),
		fmt.Sprintf("UPDATE twins SET note = NULL WHERE id = %d", hot+5), fmt.Sprintf("UPDATE twins SET n = 1 WHERE id = %d", hot+6),
		"INSERT INTO twins (id, n, note, amount) VALUES (1000000, 0, 'from nowhere', 0.50)",
	} {
		_, err := m.there.ExecContext(t.Context(), statement)
		check(t, err)
	}
	want := map[string]verify.What{strconv.Itoa(hot + 1): verify.Missing, "1000000": verify.Extra}
	for i := 2; i <= 6; i++ {
		want[strconv.Itoa(hot+i)] = verify.Unlike
	}
	return want
}

// live compares once while everything moves.
func (m *moving) live(t *testing.T, want map[string]verify.What) verify.Tally {
	t.Helper()
	tally, err := verify.Live(t.Context(), m.pair, m.running, 1000)
	check(t, err)
	got := map[string]verify.What{}
	for _, d := range tally.Differing {
		cells, err := row.Key(d.Key).Cells()
		check(t, err)
		got[string(cells[0])] = d.What
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("found %v, want %v: %d parts unequal, %d keys looked at again, %d left", got, want, tally.Unequal, tally.Again, tally.Left)
	}
	return tally
}

// TestALiveComparisonAtAThousandWritesASecond compares a table in full, again and again, while an application writes to it and
// its changes are replayed: nothing is called different that is not, what is planted at the target is found each time, and mended
// while everything goes on; at the end every row has its verdict.
func TestALiveComparisonAtAThousandWritesASecond(t *testing.T) {
	all := reals()
	for _, pair := range [][2]real{{all[0], all[0]}, {all[1], all[1]}, {all[2], all[2]}, {all[1], all[0]}} {
		t.Run(pair[0].name+"/"+pair[1].name, func(t *testing.T) {
			rnd, _ := seeded(t)
			m := newMoving(t, pair[0], pair[1], rnd)
			writing, stop := context.WithCancel(t.Context())
			replaying, end := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			var wrong error
			defer wg.Wait()
			defer end()
			defer stop()
			began := time.Now()
			written := make(chan struct{})
			wg.Go(func() {
				defer close(written)
				wrong = m.writer.run(writing)
			})
			wg.Go(func() { _ = m.running.Run(replaying) })

			comparisons, planted, again, left := 0, 0, 0, 0
			none := map[string]verify.What{}
			for m.writer.writes.Load() < 6000 {
				tally := m.live(t, none)
				comparisons, again, left = comparisons+1, again+tally.Again, left+tally.Left
				if comparisons%3 == 0 {
					want := m.plant(t)
					planted += len(want)
					tally = m.live(t, want)
					after, err := verify.Mend(t.Context(), m.pair, throughReplay{m.pair, m.running}, tally.Differing)
					check(t, err)
					if !after.Equal() {
						t.Fatalf("mended, and still different: %+v", after)
					}
				}
				_, err := verify.Strike(t.Context(), m.pair, m.running)
				check(t, err)
				select {
				case <-written:
					t.Fatalf("the application was disturbed: %v", wrong)
				default:
				}
			}
			stop()
			<-written
			took := time.Since(began)
			if wrong != nil {
				t.Fatalf("the application was disturbed: %v", wrong)
			}
			check(t, m.running.Drain(t.Context()))
			tally, compared, err := verify.Remainder(t.Context(), m.pair, 100)
			check(t, err)
			if !tally.Equal() {
				t.Errorf("changed keys differ at the end: %+v", tally)
			}
			found(t, m.pair, "at the end", none)
			if planted == 0 {
				t.Error("nothing was planted")
			}
			t.Logf("verified %s/%s: %d rows %d times beside %d writes at %.0f a second, %d keys looked at again, %d left; no false alarm; %d of %d planted differences found and mended; %d changed keys at the end",
				pair[0].name, pair[1].name, hot+quiet, comparisons, m.writer.writes.Load(), float64(m.writer.writes.Load())/took.Seconds(), again, left, planted, planted, compared)
		})
	}
}
