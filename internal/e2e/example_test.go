package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/internal/testserver"
)

// example is examples/shop in a folder of its own: its files, with the addresses of this test's servers in them, and its processes.
type example struct {
	t              *testing.T
	dir, program   string
	source, target string // URLs
	front          string
	addresses      *strings.Replacer
	reset          span // when the shop was stopped for a downtime that was taken back
}

// span is a time.
type span struct{ from, to time.Time }

func (s span) overlaps(w wish) bool { return !w.Ended.Before(s.from) && !w.Began.After(s.to) }

// exampleSize is how much the shop has in its books when its users come.
var exampleSize = []string{"-articles", "150", "-customers", "1200", "-orders", "8000"}

// newExample lets release 1 of the shop run, behind its front.
func newExample(t *testing.T, at string) *example {
	t.Helper()
	program, err := builtShop()
	if err != nil {
		t.Fatal(err)
	}
	e := &example{t: t, dir: t.TempDir(), program: program, source: fresh(t, "mariadb"), target: fresh(t, "postgres")}
	ports := freePorts(t, 3)
	e.front = "http://" + ports[0]
	e.addresses = strings.NewReplacer("127.0.0.1:8080", ports[0], "127.0.0.1:8081", ports[1], "127.0.0.1:8082", ports[2],
		"127.0.0.1:3306/shop", place(t, e.source), "127.0.0.1:3306/", parsed(t, e.source).Host+"/", "127.0.0.1:5432/shop", place(t, e.target))
	e.copy("whimbrel.yaml")
	e.shadow(at)
	if err := os.CopyFS(filepath.Join(e.dir, "release-2.0"), os.DirFS("../../examples/shop/release-2.0")); err != nil {
		t.Fatal(err)
	}
	e.copy("release-2.0/release.yaml")
	e.must(e.shop(append([]string{"install", "-release", "1", "-db", e.source}, exampleSize...)...))
	e.accounts()
	e.start(e.shop("serve", "-release", "1", "-db", "mariadb://shop:${SHOP_PASSWORD}@"+place(t, e.source), "-listen", ports[1], "-pid", "release-1.pid"))
	e.must(e.shop("point", "-to", "http://"+ports[1]))
	e.start(e.shop("front", "-listen", ports[0], "-pid", "front.pid"))
	e.must(e.shop("point", "-state", "users.state", "-to", e.front)) // users come once the front answers
	t.Cleanup(func() {
		for _, pid := range []string{"front.pid", "release-1.pid", "release-2.pid"} {
			e.must(e.shop("stop", "-pid", pid))
		}
	})
	return e
}

// accounts makes those that the example's files speak of: the shop may read and write rows, the release's builder may do nothing, and
// the mover has the rights that check prints.
func (e *example) accounts() {
	e.t.Helper()
	name := strings.TrimPrefix(parsed(e.t, e.source).Path, "/")
	there, here := "", ""
	for _, account := range []string{"mover", "shop", "shop_builder"} {
		there += "CREATE ROLE " + account + " LOGIN PASSWORD '" + testserver.Password + "';\n"
		here += "CREATE USER " + account + "@'127.0.0.1' IDENTIFIED BY '" + testserver.Password + "';\n"
	}
	here += "GRANT SELECT, INSERT, UPDATE, DELETE ON `" + name + "`.* TO shop@'127.0.0.1';\n"
	target := strings.TrimPrefix(parsed(e.t, e.target).Path, "/")
	there += "REVOKE ALL ON DATABASE " + target + " FROM PUBLIC;\nGRANT CONNECT ON DATABASE " + target + " TO mover, shop, shop_builder;\n"
	script(e.t, open(e.t, e.target), there)
	script(e.t, open(e.t, e.source), here)
	e.t.Cleanup(func() {
		script(e.t, open(e.t, e.target), "DROP OWNED BY mover, shop, shop_builder CASCADE;\nDROP ROLE mover, shop, shop_builder;\n")
		script(e.t, open(e.t, e.source), "DROP USER mover@'127.0.0.1', shop@'127.0.0.1', shop_builder@'127.0.0.1';\n")
	})
	program, err := built()
	if err != nil {
		e.t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(e.dir, "whimbrel.yaml"))
	if err != nil {
		e.t.Fatal(err)
	}
	admin := &move{t: e.t, dir: e.dir, program: program, more: e.environment()}
	admin.file("whimbrel.yaml", strings.ReplaceAll(string(text), "//mover:", "//whimbrel:"))
	script(e.t, open(e.t, e.source), printed(e.t, admin, "source", "mover@127.0.0.1"))
	script(e.t, open(e.t, e.target), printed(e.t, admin, "target", "mover"))
	admin.file("whimbrel.yaml", string(text))
}

// shadow chooses the line of the configuration by which the shadow is at this side.
func (e *example) shadow(at string) {
	e.t.Helper()
	path := filepath.Join(e.dir, "whimbrel.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		e.t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		if rest, is := strings.CutPrefix(strings.TrimPrefix(line, "# "), "shadow: {at: "); is {
			lines[i] = "# shadow: {at: " + rest
			if strings.HasPrefix(rest, at+",") {
				lines[i] = "shadow: {at: " + rest
			}
		}
	}
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		e.t.Fatal(err)
	}
}

// copy copies a file of the example, with the addresses that are free here.
func (e *example) copy(name string) {
	e.t.Helper()
	text, err := os.ReadFile(filepath.Join("../../examples/shop", name))
	if err == nil {
		err = os.WriteFile(filepath.Join(e.dir, name), []byte(e.addresses.Replace(string(text))), 0o600)
	}
	if err != nil {
		e.t.Fatal(err)
	}
}

// place is host, port and database of a URL.
func place(t *testing.T, at string) string { return parsed(t, at).Host + parsed(t, at).Path }

func parsed(t *testing.T, at string) *url.URL {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// freePorts are addresses at which nobody listens, below the ports that systems give to whoever connects: one of them is listened at only
// when the shop has moved.
func freePorts(t *testing.T, n int) (free []string) {
	t.Helper()
	for range 1000 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000)))
		if err != nil {
			continue // somebody does
		}
		defer l.Close()
		if free = append(free, l.Addr().String()); len(free) == n {
			return free
		}
	}
	t.Fatal("no port is free")
	return nil
}

// builtShop builds the shop once and returns its path.
var builtShop = sync.OnceValues(func() (string, error) {
	program, err := built()
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(program), "shop")
	if out, err := exec.Command("go", "build", "-o", path, "../../examples/shop").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the shop: %w\n%s", err, out)
	}
	return path, nil
})

// shop is a command of the shop, in its folder.
func (e *example) shop(args ...string) *exec.Cmd {
	c := exec.Command(e.program, args...)
	c.Dir = e.dir
	c.Env = append(os.Environ(), e.environment()...)
	return c
}

func (e *example) environment() []string {
	return []string{"SHOP_PASSWORD=" + testserver.Password, "PATH=" + filepath.Dir(e.program) + ":" + os.Getenv("PATH")}
}

// must runs a command to its end and returns what it printed.
func (e *example) must(c *exec.Cmd) string {
	e.t.Helper()
	out, err := c.CombinedOutput()
	if err != nil {
		e.t.Errorf("%q: %v\n%s", c.Args, err, out)
	}
	return string(out)
}

// running is a command of the shop that goes on beside the test.
type running struct {
	cmd       *exec.Cmd
	out, said words
	end       func() error // tells it to end and returns how it did. Again: the same
}

// start starts a command that ends with the test at the latest.
func (e *example) start(c *exec.Cmd) *running {
	e.t.Helper()
	r := &running{cmd: c}
	c.Stdout, c.Stderr = &r.out, &r.said
	if err := c.Start(); err != nil {
		e.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	r.end = sync.OnceValue(func() error {
		_ = c.Process.Signal(syscall.SIGTERM) // it may have ended
		return <-ended
	})
	e.t.Cleanup(func() {
		if err := r.end(); err != nil {
			e.t.Errorf("%q: %v\n%s", c.Args, err, r.said.String())
		}
	})
	return r
}

// wish is a line of the users' journal.
type wish struct {
	Began, Ended time.Time
	Did, Why     string
	Status       int
}

func (w wish) met() bool { return w.Status == 200 || w.Status == 201 || w.Status == 409 }

// journal is what the users were told so far.
func (e *example) journal() (all []wish) {
	e.t.Helper()
	f, err := os.Open(filepath.Join(e.dir, "journal"))
	if errors.Is(err, os.ErrNotExist) {
		return nil // nobody has come yet
	}
	if err != nil {
		e.t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewReader(f); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return all // the last line may be half there
		}
		var w wish
		if err := json.Unmarshal(line, &w); err != nil {
			e.t.Fatal(err)
		}
		all = append(all, w)
	}
}

// served waits until so many wishes were met that began after a moment.
func (e *example) served(n int, since time.Time) {
	e.t.Helper()
	for limit := time.After(time.Minute); ; {
		met := 0
		for _, w := range e.journal() {
			if w.met() && w.Began.After(since) {
				met++
			}
		}
		if met >= n {
			return
		}
		select {
		case <-limit:
			e.t.Fatalf("%d of %d users were served since %s", met, n, since)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// outage holds the users' errors against the reported downtime, and returns how long nobody was served.
func (e *example) outage(r report) time.Duration {
	e.t.Helper()
	if r.DowntimeBegan == nil || r.DowntimeEnded == nil {
		e.t.Fatal("the report does not say when the downtime was")
	}
	var served []time.Time
	failed, outside := 0, 0
	for _, w := range e.journal() {
		if w.met() {
			served = append(served, w.Ended)
			continue
		}
		if e.reset.overlaps(w) {
			continue
		}
		if failed++; !(span{*r.DowntimeBegan, *r.DowntimeEnded}).overlaps(w) {
			if outside++; outside < 4 {
				e.t.Errorf("a user met an error outside of the downtime (%s to %s): %+v", r.DowntimeBegan, r.DowntimeEnded, w)
			}
		}
	}
	slices.SortFunc(served, time.Time.Compare)
	longest := time.Duration(0)
	for i := range served[1:] {
		gap := served[i+1].Sub(served[i])
		if between := (wish{Began: served[i], Ended: served[i+1]}); (span{*r.DowntimeBegan, *r.DowntimeEnded}).overlaps(between) {
			longest = max(longest, gap)
		} else if gap > time.Second && !e.reset.overlaps(between) {
			e.t.Logf("example: nobody was served for %.1f s in the uptime, from %s on", gap.Seconds(), served[i].Format(time.TimeOnly))
		}
	}
	if failed == 0 {
		e.t.Error("nobody met an error: was there a downtime?")
	}
	e.t.Logf("example: %d wishes of users, %d of them refused with an error, all of these between %s and %s but %d",
		len(e.journal()), failed, r.DowntimeBegan.Format(time.TimeOnly), r.DowntimeEnded.Format(time.TimeOnly), outside)
	return longest
}

// TestExampleShop moves the shop to its new release while its users go on, with the release built at either side.
func TestExampleShop(t *testing.T) {
	for _, at := range []string{"target", "source"} {
		t.Run(at, func(t *testing.T) { newExample(t, at).moved() })
	}
}

// moved moves the shop under load and holds what its users met, and what is in its books then, against what was promised.
func (e *example) moved() {
	t := e.t
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	m := &move{t: t, dir: e.dir, program: program, more: e.environment()}
	load := e.start(e.shop(append([]string{"load", "-url", e.front, "-journal", "journal", "-for", "10m", "-pause", "15ms"}, exampleSize...)...))
	e.served(200, time.Time{})
	m.until("confirm-downtime")
	e.served(100, time.Now())
	e.turnedBack(m)
	m.until("confirm-downtime")
	m.must(0, "run", "--yes")
	r := m.report()
	e.served(200, *r.DowntimeEnded)
	if err := load.end(); err != nil {
		t.Errorf("the users: %v\n%s\n%s", err, load.out.String(), load.said.String())
	}
	without := e.outage(r)
	e.settled(r)
	rules := e.must(e.shop(append([]string{"check", "-release", "2", "-db", e.target, "-journal", "journal"}, exampleSize...)...))
	t.Logf("example: the shop's rules, at release 2:\n%s", rules)
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			if p.Name == "downtime" {
				t.Logf("example: %s took %.2f s", s.Name, s.Seconds)
			}
		}
	}
	t.Logf("example: downtime %.1f s as reported; for %.1f s nobody was served", r.DowntimeSeconds, without.Seconds())
}

// turnedBack goes on to the last question, when the release has been switched and has changed the target, and takes the move back: users are
// served by release 1 again, and nothing is left at the target.
func (e *example) turnedBack(m *move) {
	e.t.Helper()
	e.reset.from = time.Now()
	m.until("confirm-open")
	m.must(0, "reset", "--yes")
	e.reset.to = time.Now()
	e.served(100, e.reset.to)
	if left := e.structure(e.target); !slices.Equal(left, []string{"schema public"}) {
		e.t.Errorf("after a reset the target has %q", left)
	}
	if left := ours(e.t, e.source); len(left) > 0 {
		e.t.Errorf("after a reset the source has %q", left)
	}
	e.t.Logf("example: taken back at the last question; release 1 serves again")
}

// settled holds what the move has left behind: every table proven, the structure of release 2, and nothing of its own.
func (e *example) settled(r report) {
	e.t.Helper()
	for _, x := range r.Tables {
		if x.Class != "repository" && x.Verdict != "equal" {
			e.t.Errorf("%s: %s, %s", x.Name, x.Class, x.Verdict)
		}
	}
	for _, at := range []string{e.source, e.target} {
		if left := ours(e.t, at); len(left) > 0 {
			e.t.Errorf("left behind: %q", left)
		}
	}
	alone := fresh(e.t, "postgres")
	e.t.Cleanup(func() { script(e.t, open(e.t, alone), "DROP OWNED BY shop;\n") })
	e.must(e.shop("install", "-release", "2", "-db", alone, "-articles", "3", "-customers", "9", "-orders", "3"))
	moved, made := e.structure(e.target), e.structure(alone)
	for _, line := range made {
		if !slices.Contains(moved, line) {
			e.t.Errorf("a shop that begins with release 2 has %s, and the one that was moved has not", line)
		}
	}
	for _, line := range moved {
		if !slices.Contains(made, line) {
			e.t.Errorf("the shop that was moved has %s, and one that begins with release 2 has not", line)
		}
	}
}

// structure are the columns, keys and views of a database, a line each.
func (e *example) structure(at string) (lines []string) {
	e.t.Helper()
	d := open(e.t, at)
	for _, query := range []string{
		`SELECT 'column', table_name, column_name, data_type, coalesce(character_maximum_length, numeric_precision, datetime_precision, 0), coalesce(numeric_scale, 0), is_nullable
			FROM information_schema.columns WHERE table_schema = 'public'`,
		`SELECT 'key', table_name, constraint_type, count(*) FROM information_schema.table_constraints
			WHERE table_schema = 'public' AND constraint_type <> 'CHECK' GROUP BY table_name, constraint_type`,
		`SELECT 'schema', nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema'`,
	} {
		rows, err := d.Query(query)
		if err != nil {
			e.t.Fatal(err)
		}
		for _, r := range rows {
			lines = append(lines, strings.Join(r, " "))
		}
	}
	return lines
}
