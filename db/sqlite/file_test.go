package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// TestOpenChangesNothing: a target that is not there is not made by looking at it; what can not be opened says why.
func TestOpenChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new.db")
	d := openAt(t, path, driver.Target)
	defer closed(t, d)
	found, err := d.Inspector.Inspect(t.Context(), nil)
	if err != nil || len(found.Tables) > 0 {
		t.Fatalf("%v %v", found, err)
	}
	if _, err := d.Inspector.Settings(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.Ledger.Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("looking made the file: %v", err)
	}
	if err := d.Ledger.Prepare(t.Context(), "test-run"); err != nil {
		t.Fatal(err)
	}
	if found, err = d.Inspector.Inspect(t.Context(), nil); err != nil || len(found.Tables) > 0 {
		t.Fatalf("%v %v", found, err)
	}
	other := openAt(t, path, driver.Target)
	defer closed(t, other)
	if err := other.Ledger.Prepare(t.Context(), "another"); err == nil || !strings.Contains(err.Error(), "test-run") {
		t.Errorf("the book of another move: %v", err)
	}
	for address, word := range map[string]string{
		"sqlite:" + path + ".missing": "no such file", "sqlite:" + filepath.Dir(path): "folder", "sqlite://host/x": "host", "sqlite:x?mode=ro": "parameters",
		"sqlite:": "no file", "sqlite::memory:": "no file", "sqlite:" + filepath.Join(path, "x", "y"): "not a directory",
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Driver.Open(t.Context(), u, driver.Options{Side: driver.Source}); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", address, err)
		}
	}
	text := filepath.Join(t.TempDir(), "text.db")
	if err := os.WriteFile(text, bytes.Repeat([]byte("no database "), 100), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Driver.Open(t.Context(), &url.URL{Scheme: "sqlite", Path: text}, driver.Options{Side: driver.Source}); err == nil {
		t.Error("a text file was opened")
	}
}

// program runs a statement in the sqlite3 program, as another process writes.
func program(t testing.TB, path, sql string) (string, error) {
	t.Helper()
	cmd := exec.Command("sqlite3", "-bail", "-cmd", ".timeout 2000", path, sql)
	out, err := cmd.CombinedOutput()
	if err != nil && len(out) == 0 {
		t.Fatalf("sqlite3 (apt-get install sqlite3): %v", err)
	}
	return string(out), err
}

// TestGateStopsEveryKindOfWrite, by another process and by this one, and softening clauses do not help (HAZARDS 85).
func TestGateStopsEveryKindOfWrite(t *testing.T) {
	path := newFile(t, `CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE t (id INTEGER PRIMARY KEY, u INT UNIQUE, p INT REFERENCES p ON DELETE CASCADE);
		INSERT INTO p VALUES (1); INSERT INTO t VALUES (1, 1, 1)`)
	d := openAt(t, path, driver.Source)
	defer d.Close()
	table, _ := shaped(t, d, "t", 1)
	tables := []*schema.Table{table}
	if err := d.Gate.Prove(t.Context(), tables, driver.Wait{}); err == nil {
		t.Error("proven before it was shut")
	}
	if err := d.Gate.Shut(t.Context(), tables, driver.Wait{}); err != nil {
		t.Fatal(err)
	}
	for _, write := range []string{
		"INSERT INTO t VALUES (2, 2, 1)", "INSERT OR IGNORE INTO t VALUES (2, 2, 1)", "REPLACE INTO t VALUES (1, 3, 1)", "UPDATE OR IGNORE t SET u = 5",
		"DELETE FROM t", "INSERT INTO t VALUES (1, 1, 1) ON CONFLICT DO UPDATE SET u = 7", "PRAGMA foreign_keys = ON; DELETE FROM p",
		"INSERT INTO t SELECT 10, 10, 1", "UPDATE t SET u = 8 FROM p WHERE p.id = t.p",
	} {
		if out, err := program(t, path, write); err == nil || !strings.Contains(out, gateSentence) {
			t.Errorf("%s: %s", write, out)
		}
		app := connectApp(t, path)
		if err := app.Exec(write); err == nil || (dialect{}).Classify(err) != driver.Refused {
			t.Errorf("%s: %v", write, err)
		}
		app.Close()
	}
	if out, err := program(t, path, "SELECT * FROM t"); err != nil || out != "1|1|1\n" {
		t.Errorf("%s %v", out, err)
	}
	if err := d.Gate.Prove(t.Context(), tables, driver.Wait{}); err != nil {
		t.Error(err)
	}
	program(t, path, "DROP TRIGGER whimbrel_gate_update_1")
	if err := d.Gate.Prove(t.Context(), tables, driver.Wait{}); err == nil {
		t.Error("proven without one of its triggers")
	}
}

// TestGateNamesWhoWrites: another process in a transaction holds the gate open, and is named.
func TestGateNamesWhoWrites(t *testing.T) {
	path := newFile(t, "CREATE TABLE t (id INTEGER PRIMARY KEY)")
	d := openAt(t, path, driver.Source)
	defer d.Close()
	table, _ := shaped(t, d, "t", 1)
	cmd := exec.Command("sqlite3", path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(in, "BEGIN IMMEDIATE; INSERT INTO t VALUES (1); SELECT 'writing';")
	if _, err := out.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	wait := driver.Wait{Lock: 50 * time.Millisecond, Settled: 50 * time.Millisecond}
	err = d.Gate.Shut(t.Context(), []*schema.Table{table}, wait)
	if (dialect{}).Classify(err) != driver.Transient || !strings.Contains(err.Error(), fmt.Sprint("process ", cmd.Process.Pid)) {
		t.Errorf("%v", err)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := d.Gate.Shut(t.Context(), []*schema.Table{table}, wait); err != nil {
		t.Error(err)
	}
}

// TestLongReadDoesNotHoldUpTheApplication: while our cursors are open and half read, another process writes, and its log can be
// emptied (HAZARDS 79).
func TestLongReadDoesNotHoldUpTheApplication(t *testing.T) {
	path := newFile(t, `CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000) INSERT INTO t SELECT i, 'some text' FROM n`)
	d := openAt(t, path, driver.Source)
	defer d.Close()
	table, sh := shaped(t, d, "t", 1)
	b := row.NewBatch(sh.Width())
	for range 3 {
		c, err := d.Reader.Read(t.Context(), driver.Query{Table: table, Shape: sh})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Fill(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	out, err := program(t, path, "UPDATE t SET v = 'other'; PRAGMA wal_checkpoint(TRUNCATE)")
	if err != nil || !strings.HasPrefix(out, "0|0|0") {
		t.Errorf("the log can not be emptied: %s %v", out, err)
	}
}

// TestLogStaysSmallUnderReaders: with several readers that never pause, the application's log does not grow for ever.
func TestLogStaysSmallUnderReaders(t *testing.T) {
	path := newFile(t, `CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000) INSERT INTO t SELECT i, 'some text' FROM n`)
	d := openAt(t, path, driver.Source)
	defer d.Close()
	table, sh := shaped(t, d, "t", 1)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			b := row.NewBatch(sh.Width())
			for ctx.Err() == nil {
				c, err := d.Reader.Read(ctx, driver.Query{Table: table, Shape: sh})
				for err == nil {
					err = c.Fill(ctx, b)
				}
				if c != nil {
					c.Close()
				}
			}
		})
	}
	app := connectApp(t, path)
	defer app.Close()
	written := int64(0)
	for i := range 2000 {
		app.must(t, fmt.Sprintf("UPDATE t SET v = hex(randomblob(2000)) WHERE id BETWEEN %d AND %d", i%200*20, i%200*20+19))
		written += 20 * 4096
	}
	stop()
	wg.Wait()
	at, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d MiB written, the log is %d MiB", written>>20, at.Size()>>20)
	if at.Size() > 3*walLimit {
		t.Errorf("the log grew to %d MiB of %d MiB written", at.Size()>>20, written>>20)
	}
}

// TestHugeValues: 64 MiB of text and of bytes go in, come out and are applied, and the process stays under 512 MiB.
func TestHugeValues(t *testing.T) {
	ctx := t.Context()
	source := openAt(t, newFile(t, "CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT, b BLOB)"), driver.Source)
	defer source.Close()
	table, _ := shaped(t, source, "t", 1)
	target := openAt(t, filepath.Join(t.TempDir(), "target.db"), driver.Target)
	defer target.Close()
	if err := target.Ledger.Prepare(ctx, "test-run"); err != nil {
		t.Fatal(err)
	}
	epoch, err := target.Ledger.TakeOver(ctx)
	if err != nil {
		t.Fatal(err)
	}
	tt, ts := copyOf(t, target, table)
	b := row.NewBatch(3)
	put := func(id string, text, blob []byte) {
		b.Reset()
		b.AppendString(id)
		for _, cell := range [][]byte{text, blob} {
			if cell == nil {
				b.AppendNull()
			} else {
				b.Append(cell)
			}
		}
	}
	huge := bytes.Repeat([]byte("0123456789abcde\x00"), longestValue/16)
	want := row.Sum{}
	l, err := target.Loader.Load(ctx, driver.Intake{Table: tt, Shape: ts, Range: row.Range{Number: 1}, Epoch: epoch})
	if err != nil {
		t.Fatal(err)
	}
	for i, cells := range [][2][]byte{{huge, nil}, {nil, huge}} {
		put(fmt.Sprint(i), cells[0], cells[1])
		want.AddBatch(1, b)
		if err := l.Write(ctx, b); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	keys := row.NewBatch(1)
	keys.AppendString("1")
	if err := target.Applier.Apply(ctx, driver.Delta{Table: tt, Shape: ts, Epoch: epoch, Number: 1, Keys: keys, Images: b}); err != nil {
		t.Fatal(err)
	}
	got := row.Sum{}
	c, err := target.Reader.Read(ctx, driver.Query{Table: tt, Shape: ts})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for err == nil {
		err = c.Fill(ctx, b)
		got.AddBatch(1, b)
	}
	if got != want {
		t.Errorf("read %s, wrote %s", got, want)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "VmHWM") || strings.HasPrefix(line, "VmRSS") {
			t.Log(strings.TrimSpace(line))
		}
	}
	t.Logf("Go has %d MiB from the system", m.Sys>>20)
}

// TestSequences: AUTOINCREMENT goes on past everything that was ever there, and is never moved back.
func TestSequences(t *testing.T) {
	path := newFile(t, "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO t VALUES (41), (7); DELETE FROM t WHERE id = 41; CREATE TABLE u (id INTEGER PRIMARY KEY); INSERT INTO u VALUES (5)")
	d := openAt(t, path, driver.Target)
	defer d.Close()
	found, err := d.Inspector.Inspect(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	next, err := d.Sequencer.Next(t.Context(), found)
	if err != nil || len(next) != 2 || next[0].Next != "42" || next[1].Next != "6" {
		t.Fatalf("%+v %v", next, err)
	}
	for _, n := range []string{"100", "50", "100"} {
		if err := d.Sequencer.Set(t.Context(), driver.Generator{Table: named("t"), Column: "id", Next: n}); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := program(t, path, "INSERT INTO t DEFAULT VALUES RETURNING id"); err != nil || out != "100\n" {
		t.Errorf("%q %v", out, err)
	}
}

// TestCloseEndsWhatIsOpen: cursors, loads and receipts that nobody closed do not keep Close waiting, and say that they are lost.
func TestCloseEndsWhatIsOpen(t *testing.T) {
	ctx := t.Context()
	path := newFile(t, "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)")
	d := openAt(t, path, driver.Target)
	table, sh := shaped(t, d, "t", 1)
	if err := d.Ledger.Prepare(ctx, "test-run"); err != nil {
		t.Fatal(err)
	}
	if err := d.Capturer.Install(ctx, table, sh, driver.Wait{}); err != nil {
		t.Fatal(err)
	}
	c, err := d.Reader.Read(ctx, driver.Query{Table: table, Shape: sh})
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.Recorder.Take(ctx, driver.Want{Table: table, Shape: sh, Lanes: 1, Most: 10}, row.NewBatch(1), row.NewBatch(1))
	if err != nil {
		t.Fatal(err)
	}
	l, err := d.Loader.Load(ctx, driver.Intake{Table: table, Shape: sh, Range: row.Range{Number: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	b := row.NewBatch(1)
	written := l.Write(ctx, b)
	_, committed := l.Commit(ctx)
	_, taken := d.Ledger.TakeOver(ctx)
	for what, err := range map[string]error{
		"Fill": c.Fill(ctx, b), "Forget": r.Forget(ctx, 1), "Write": written, "Commit": committed, "TakeOver": taken,
	} {
		if (dialect{}).Classify(err) != driver.Lost {
			t.Errorf("%s after Close: %v", what, err)
		}
	}
	for _, err := range []error{c.Close(), r.Close(), l.Close(), d.Close()} {
		if err != nil {
			t.Error(err)
		}
	}
	if out, err := program(t, path, "INSERT INTO t VALUES (2)"); err != nil {
		t.Errorf("the lock is still held: %s", out)
	}
}

// closed closes a database at a test's end.
func closed(t *testing.T, d *driver.Database) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// TestFreeIsWhatTheDiskHas compares with what the system's own tool says at about the same moment.
func TestFreeIsWhatTheDiskHas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	d, err := newDatabase(path, driver.Options{Side: driver.Target})
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	free, err := d.free(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("df", "-Pk", filepath.Dir(path)).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	said, err := strconv.ParseInt(strings.Fields(lines[len(lines)-1])[3], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if off := free - said<<10; off < -1<<30 || off > 1<<30 {
		t.Errorf("%d bytes are free, and df says %d", free, said<<10)
	}
}

// TestAMoveThatWasEndedIsFenced: a process that has slept until another one ended the move learns that it is over, and tries nothing again.
func TestAMoveThatWasEndedIsFenced(t *testing.T) {
	d := openAt(t, filepath.Join(t.TempDir(), "target.db"), driver.Target)
	defer closed(t, d)
	if err := d.Ledger.Prepare(t.Context(), "test-run"); err != nil {
		t.Fatal(err)
	}
	epoch, err := d.Ledger.TakeOver(t.Context())
	if err == nil {
		err = d.Ledger.Current(t.Context(), epoch)
	}
	if err == nil {
		err = d.Ledger.Drop(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Ledger.Current(t.Context(), epoch); d.Dialect.Classify(err) != driver.Fenced {
		t.Error(err)
	}
}
