package bench

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Replay: two thirds of the rows of wide are changed at the source, one by one in random order, while nothing replays; then it is
// measured how long it takes until the target has them all. Whimbrel's column goes from the start of the command, in a move
// that had loaded the table before, until drain is done; the yardstick reads the changed keys in batches of 10,000, joins them
// with the rows and upserts these from a stage. Of peers it is the time from the commit of the change.

const rate quantity = "changes/s"

// replaying is one pair and the table's form. Its two bases hold the same rows, and the source's the table changed, which
// lists the keys that change.
type replaying struct {
	g        *grounds
	from, to string // products
	unique   string // a statement that gives wide a secondary unique key; empty for none
	bases    map[side]database
}

// open makes the bases.
func (r *replaying) open(b testing.TB) {
	b.Helper()
	r.bases = map[side]database{}
	for s, product := range map[side]string{source: r.from, target: r.to} {
		d := r.g.fresh(b, product, s, "base")
		d.tables(b)
		d.do(b, "DROP TABLE line")
		r.g.fill(b, d, "wide")
		if product == "postgres" {
			d.do(b, wideKey)
		}
		if r.unique != "" {
			d.do(b, r.unique)
		}
		if s == source {
			d.do(b, "CREATE TABLE changed (seq bigint PRIMARY KEY, k bigint NOT NULL)")
			d.do(b, fmt.Sprintf("INSERT INTO changed SELECT ROW_NUMBER() OVER (ORDER BY MD5(CAST(id AS char(20)))), id FROM wide ORDER BY 1 LIMIT %d", r.changes()))
		}
		if product == "postgres" {
			d.do(b, "VACUUM ANALYZE")
		}
		r.bases[s] = d
	}
}

// changes is how many rows change.
func (r *replaying) changes() int { return r.g.rows("wide") * 2 / 3 }

// copied makes a copy of a base.
func (r *replaying) copied(b testing.TB, s side, name string) database {
	b.Helper()
	base := r.bases[s]
	if base.product == "postgres" {
		return r.g.cloned(b, base, s, name)
	}
	d := r.g.fresh(b, base.product, s, name)
	tables := []string{"wide"}
	if s == source {
		tables = append(tables, "changed")
	}
	for _, t := range tables {
		d.do(b, "SET sql_log_bin=0; CREATE TABLE "+t+" LIKE base."+t+"; INSERT INTO "+t+" SELECT * FROM base."+t)
	}
	return d
}

// change changes the rows at a source, one statement each, in one transaction.
func (r *replaying) change(b testing.TB, d database) {
	b.Helper()
	set := "num = MOD(COALESCE(num, 0), 1000000) + 1, amount = amount + 1"
	if d.product == "postgres" {
		if r.unique != "" {
			set += ", uid = CASE WHEN id % 10 = 0 THEN md5(id::text)::uuid ELSE uid END"
		}
		d.do(b, "DO 'DECLARE r record; BEGIN FOR r IN SELECT k FROM changed ORDER BY seq LOOP UPDATE wide SET "+set+" WHERE id = r.k; END LOOP; END'")
		d.do(b, "CHECKPOINT")
		return
	}
	d.do(b, "DELIMITER $$\nBEGIN NOT ATOMIC START TRANSACTION; FOR r IN (SELECT k FROM changed ORDER BY seq) DO UPDATE wide SET "+set+
		" WHERE id = r.k; END FOR; COMMIT; END$$")
}

// counted adds the rate.
func (r *replaying) counted(k sample) sample {
	k[rate] = float64(r.changes()) / k[wall]
	return k
}

func (r *replaying) whimbrel() contestant {
	return contestant{name: ours, run: func(b testing.TB) (outcome, error) {
		from, to := r.copied(b, source, "replayed"), r.g.fresh(b, r.to, target, "replayed")
		m := r.g.newMove(b, from, to, "procedure: downtime-optimized\ntables: {uptime: [wide], skip: [changed]}\nverify: {levels: {\"*\": full-downtime}}")
		m.to(b, "confirm-downtime")
		r.change(b, from)
		m.do(b, "answer", "confirm-downtime", "yes")
		to.settle(b)
		all, err := m.run(b, "done drain", "run")
		if err != nil {
			return outcome{}, err
		}
		return outcome{sample: r.counted(all.between(b, "", "done drain")), note: all.steps()}, same(from, to, "", "wide")
	}}
}

func (r *replaying) yardstick() contestant {
	return contestant{name: plain, run: func(b testing.TB) (outcome, error) {
		from, to := r.copied(b, source, "replayed"), r.copied(b, target, "replayed")
		r.change(b, from)
		to.settle(b)
		k, err := measure(b, servers(from, to), exec.Command(r.g.yardstick, "replay", "-batch", "10000", from.url, to.url))
		if err != nil {
			return outcome{}, err
		}
		return outcome{sample: r.counted(k)}, same(from, to, "", "wide")
	}}
}

// follows is a peer that was set up between two copies. Its daemons are started for a round and have come to rest before the rows
// change, so that what is measured begins when the change has been committed: a start of theirs is not held against them.
func (r *replaying) follows(f follower, name, missing string, up func() error, start func(b testing.TB) (stop func())) contestant {
	c := contestant{name: name, missing: missing}
	if missing == "" {
		if err := up(); err != nil {
			fmt.Println(name+":", err)
			c.missing = "could not be set up"
		}
	}
	c.run = func(b testing.TB) (outcome, error) {
		stop := start(b)
		defer stop()
		f.to.settle(b)
		do(b, f.dir, "sleep 5")
		r.change(b, f.from)
		last := f.from.ask(b, "SELECT id, num FROM wide WHERE id = (SELECT k FROM changed ORDER BY seq DESC LIMIT 1)")
		id, num, _ := strings.Cut(last, " ")
		k, err := measure(b, servers(f.from, f.to), shell(f.dir, until("SELECT num FROM wide WHERE id = "+id, num, f.to)))
		if err != nil {
			return outcome{}, err
		}
		return outcome{sample: r.counted(sample{wall: k[wall], serving: k[serving], foreign: k[foreign]})}, same(f.from, f.to, "", "wide")
	}
	return c
}

// until is a line for bash that waits until a question has this answer, and fails after five minutes.
func until(question, answer string, d database) string {
	return fmt.Sprintf(`until [ "$(psql -XqAt '%s' -c '%s' 2>/dev/null)" = '%s' ]; do sleep 0.1; [ $SECONDS -lt 300 ] || exit 1; done`, d.url, question, answer)
}

// follower makes the two copies that a peer is set up between.
func (r *replaying) follower(b testing.TB, name string) follower {
	b.Helper()
	return follower{from: r.copied(b, source, name), to: r.copied(b, target, name), dir: b.TempDir(), tables: []string{"wide"}}
}

func (r *replaying) slony(b testing.TB) contestant {
	f := r.follower(b, "by_slony")
	return r.follows(f, "slony", missing("slon", "slonik"), func() error {
		if err := f.slony(); err != nil {
			return err
		}
		text := "cluster name = bench;\nnode 1 admin conninfo = '" + f.from.conninfo() + "';\nnode 2 admin conninfo = '" + f.to.conninfo() + "';\n" +
			"subscribe set (id = 1, provider = 1, receiver = 2, forward = no, omit copy = true);\n"
		if err := f.write("subscribe.slonik", text); err != nil {
			return err
		}
		stop := f.slons(b)
		defer stop()
		return f.shell("sleep 3; slonik subscribe.slonik && " + until("SELECT sub_active FROM _bench.sl_subscribe", "t", f.to))
	}, f.slons)
}

// slons starts Slony's daemons.
func (f follower) slons(b testing.TB) (stop func()) {
	one := f.beside(b, "slon", "-d0", "-s500", "bench", f.from.conninfo())
	two := f.beside(b, "slon", "-d0", "-s500", "bench", f.to.conninfo())
	return func() { one(); two() }
}

func (r *replaying) bucardo(b testing.TB) contestant {
	f := r.follower(b, "by_bucardo")
	return r.follows(f, "bucardo", missing("bucardo"), func() error { return f.bucardo(b, r.g) }, func(b testing.TB) func() {
		do(b, f.dir, f.bucardoCommand("start")+" >start.log 2>&1")
		return func() { do(b, f.dir, f.bucardoCommand("stop")+" >stop.log 2>&1 || true") }
	})
}

func (r *replaying) londiste(b testing.TB) contestant {
	f := r.follower(b, "by_londiste")
	return r.follows(f, "londiste", missing("londiste", "pgqd")+extension("londiste"), func() error { return f.londiste(b) }, func(b testing.TB) func() {
		return f.beside(b, "londiste", "target.ini", "worker")
	})
}

// londiste makes a queue with a root and a leaf. The ticker and the root's worker run until the work ends.
func (f follower) londiste(b testing.TB) error {
	for _, d := range []database{f.from, f.to} {
		for _, e := range []string{"pgq", "pgq_node", "londiste"} {
			if _, err := d.answer("CREATE EXTENSION " + e); err != nil {
				return err
			}
		}
	}
	for name, d := range map[string]database{"source": f.from, "target": f.to} {
		text := fmt.Sprintf("[londiste]\njob_name = %s\ndb = %s\nqueue_name = bench\nlogfile = %s.log\npidfile = %s.pid\nloop_delay = 0.2\n", name, d.conninfo(), name, name)
		if err := f.write(name+".ini", text); err != nil {
			return err
		}
	}
	at := strings.TrimPrefix(f.from.conninfo(), "dbname="+f.from.name+" ")
	if err := f.write("ticker.ini", "[pgqd]\nbase_connstr = "+at+"\ndatabase_list = "+f.from.name+"\ncheck_period = 1\n"); err != nil {
		return err
	}
	for _, line := range []string{
		"londiste source.ini create-root source '" + f.from.conninfo() + "'",
		"londiste target.ini create-leaf target '" + f.to.conninfo() + "' --provider='" + f.from.conninfo() + "'",
	} {
		if err := f.shell(line); err != nil {
			return err
		}
	}
	b.Cleanup(f.beside(b, "pgqd", "ticker.ini"))
	b.Cleanup(f.beside(b, "londiste", "source.ini", "worker"))
	defer f.beside(b, "londiste", "target.ini", "worker")()
	return f.shell("sleep 3; londiste source.ini add-table wide && londiste target.ini add-table --expect-sync wide && sleep 5")
}

// beside starts a program, which runs until stop is called.
func (f follower) beside(b testing.TB, program string, args ...string) (stop func()) {
	b.Helper()
	c := exec.Command(program, args...)
	c.Dir = f.dir
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	return func() {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGTERM)
		late := time.AfterFunc(5*time.Second, func() { _ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) })
		defer late.Stop()
		_ = c.Wait()
	}
}

// replayWide is the pair's replay of wide rows; between two PostgreSQL servers beside the peers.
func replayWide(from, to string) func(b testing.TB, g *grounds) work {
	return func(b testing.TB, g *grounds) work {
		r := &replaying{g: g, from: from, to: to}
		r.open(b)
		p := pair{from: r.bases[source], target: to}
		w := work{
			title: "replay" + p.title()[len("load"):] + ", wide rows", contestants: []contestant{r.whimbrel(), r.yardstick()},
			figures: []figure{{cpu, timesAtLeast, 0.8, plain}},
		}
		if from == "postgres" && to == "postgres" {
			w.contestants = append(w.contestants, r.slony(b), r.bucardo(b), r.londiste(b))
			w.figures = append(w.figures, figure{wall, timesAtLeast, 1.5, "slony"}, figure{wall, timesAtLeast, 3, "bucardo"}, figure{wall, timesAtLeast, 3, "londiste"})
		}
		return w
	}
}

func replayUnique(b testing.TB, g *grounds) work {
	r := &replaying{g: g, from: "postgres", to: "postgres", unique: "ALTER TABLE wide ADD UNIQUE (uid)"}
	r.open(b)
	return work{
		title: "replay PostgreSQL → PostgreSQL, a secondary unique key", contestants: []contestant{r.whimbrel(), r.yardstick()},
		figures: []figure{{cpu, timesAtLeast, 0.6, plain}},
	}
}
