// Package e2e holds whole moves: the program as a process, real servers, a live application, and a judge that looks through
// the products' own clients.
package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/internal/e2e/oracle"
	"github.com/whimbrel/whimbrel/internal/failpoint"
	"github.com/whimbrel/whimbrel/internal/testserver"
)

func TestMain(m *testing.M) {
	code := m.Run()
	testserver.StopAll()
	if dir, err := built(); err == nil {
		_ = os.RemoveAll(filepath.Dir(dir))
	}
	os.Exit(code)
}

// built builds the program once and returns its path.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "whimbrel-e2e")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "whimbrel")
	out, err := exec.Command("go", "build", "-o", path, "../../cmd/whimbrel").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return path, nil
})

// move is one move: a folder with its configuration, and what its processes have needed.
type move struct {
	t       *testing.T
	dir     string
	program string
	more    []string // of its environment
	largest int64    // the most resident memory of any process so far, in bytes
	said    bytes.Buffer
}

// plan is what a configuration says.
type plan struct {
	procedure      string // downtime-optimized unless said
	source, target string // URLs
	uptime         []string
	skip           []string
	extra          string // more lines of the configuration
	dir            string // the move's folder; empty for a temporary one
	start          string // what runs before the application is started at the target
}

// newMove writes a move's configuration. The password is not in it.
func newMove(t *testing.T, p plan) *move {
	t.Helper()
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	if p.dir == "" {
		p.dir = t.TempDir()
	}
	m := &move{t: t, dir: p.dir, program: program}
	if p.procedure == "" {
		p.procedure = "downtime-optimized"
	}
	config := "procedure: " + p.procedure + "\n"
	config += "source: {url: " + quoted(hidden(p.source)) + "}\n"
	config += "target: {url: " + quoted(hidden(p.target)) + "}\n"
	config += "tables: {list: uptime.txt, skip: ["
	for i, s := range p.skip {
		if i > 0 {
			config += ", "
		}
		config += quoted(s)
	}
	config += "]}\n"
	config += "application: {stop: \"echo stop >>marks\", start: \"" + p.start + "echo start >>marks\", start-source: \"echo start-source >>marks\"}\n"
	config += p.extra
	m.file("whimbrel.yaml", config)
	m.file("uptime.txt", "# moved while the application runs\n\n"+strings.Join(p.uptime, "\n")+"\n")
	return m
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// hidden takes the password out of a URL: the program is given it in its environment.
func hidden(at string) string {
	return strings.Replace(at, ":"+testserver.Password+"@", ":${SHOP_PASSWORD}@", 1)
}

func (m *move) file(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// marks are the words that the application's commands left, in order.
func (m *move) marks() string {
	b, err := os.ReadFile(filepath.Join(m.dir, "marks"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		m.t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(b)), " ")
}

// ending is how one process ended.
type ending struct {
	code   int
	killed bool
	point  string // the failpoint at which it died
	out    string // standard output
	said   string // standard error
}

func (m *move) command(args ...string) *exec.Cmd {
	c := exec.Command(m.program, append(args, "--config", filepath.Join(m.dir, "whimbrel.yaml"))...)
	c.Dir = m.dir
	c.Env = append(os.Environ(), "SHOP_PASSWORD="+testserver.Password, "NO_COLOR=1")
	c.Env = append(c.Env, m.more...)
	return c
}

// do runs the program to its end.
func (m *move) do(args ...string) ending { return m.finish(m.start("", args...)) }

// patience is how long one process may take, whatever is done to it. One that takes longer hangs.
const patience = 4 * time.Minute

// process is one process of the program that has been started.
type process struct {
	cmd       *exec.Cmd
	out, said words
	watch     *time.Timer // asks a process that hangs where, which ends it
	hung      atomic.Bool
}

// sleep stops the process until wake.
func (p *process) sleep() error {
	p.watch.Stop()
	return p.cmd.Process.Signal(syscall.SIGSTOP)
}

// wake lets it go on.
func (p *process) wake() error {
	p.watch.Reset(patience)
	return p.cmd.Process.Signal(syscall.SIGCONT)
}

// words are what a process prints, which may be looked at while it does.
type words struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write keeps what is printed.
func (w *words) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

// String is everything so far.
func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// start starts the program, with failpoints if any are named.
func (m *move) start(points string, args ...string) *process {
	m.t.Helper()
	p := &process{cmd: m.command(args...)}
	if points != "" {
		p.cmd.Env = append(p.cmd.Env, failpoint.Variable+"="+points)
	}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.said
	if err := p.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	p.watch = time.AfterFunc(patience, func() {
		p.hung.Store(true)
		_ = p.cmd.Process.Signal(syscall.SIGQUIT)
	})
	return p
}

// finish waits for the end of a process and notes what it needed. What it printed must not hold the password. One that hung fails
// the test with the state of its goroutines.
func (m *move) finish(p *process) ending {
	m.t.Helper()
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.t.Errorf("wait for %q: %v", p.cmd.Args, err)
	}
	p.watch.Stop()
	if p.hung.Load() {
		m.t.Errorf("%q hangs for %s:\n%s", p.cmd.Args, patience, p.said.String())
	}
	state := p.cmd.ProcessState
	if use, ok := state.SysUsage().(*syscall.Rusage); ok {
		m.largest = max(m.largest, use.Maxrss*1024)
	}
	e := ending{code: state.ExitCode(), out: p.out.String(), said: p.said.String()}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		e.killed = status.Signal() == syscall.SIGKILL
	}
	for line := range strings.Lines(e.said) {
		if rest, ok := strings.CutPrefix(line, "failpoint "); ok {
			e.point = strings.TrimSpace(rest)
		}
	}
	fmt.Fprintf(&m.said, "$ %s\n%s%s", strings.Join(p.cmd.Args[1:], " "), e.out, e.said)
	if strings.Contains(e.out+e.said, testserver.Password) {
		m.t.Errorf("the password is in what %q printed", p.cmd.Args)
	}
	return e
}

// must runs the program and fails the test unless it ends with this code.
func (m *move) must(code int, args ...string) ending {
	m.t.Helper()
	e := m.do(args...)
	if e.code != code {
		m.t.Fatalf("%q ended with %d, not %d:\n%s\n%s", args, e.code, code, tail(e.out), tail(e.said))
	}
	return e
}

// tail is the last part of a long output.
func tail(s string) string {
	if len(s) > 6000 {
		return "…" + s[len(s)-6000:]
	}
	return s
}

// report is what report --json says, as far as the tests look.
type report struct {
	Procedure       string     `json:"procedure"`
	Release         string     `json:"release"`
	Started         string     `json:"started"`
	Ended           *string    `json:"ended"`
	DowntimeSeconds float64    `json:"downtime_seconds"`
	DowntimeBegan   *time.Time `json:"downtime_began"`
	DowntimeEnded   *time.Time `json:"downtime_ended"`
	Phases          []phase    `json:"phases"`
	Tables          []table    `json:"tables"`
	Findings        []struct{ Rule, Level, Table, Column, Message string }
}

type phase struct {
	Name  string `json:"name"`
	Steps []step `json:"steps"`
}

type step struct {
	Name    string  `json:"name"`
	State   string  `json:"state"`
	Seconds float64 `json:"seconds"`
}

type table struct {
	Name        string   `json:"name"`
	Class       string   `json:"class"`
	Reason      string   `json:"reason"`
	Stage       string   `json:"stage"`
	Rows        int64    `json:"rows"`
	Bytes       int64    `json:"bytes"`
	LoadSeconds float64  `json:"load_seconds"`
	Captured    int64    `json:"captured"`
	Replayed    int64    `json:"replayed"`
	Backlog     int64    `json:"backlog"`
	VerifyLevel string   `json:"verify_level"`
	Verdict     string   `json:"verdict"`
	Keys        []string `json:"keys"`
	Mended      int      `json:"mended"`
}

// report asks for the report, and looks that report.json says the same and neither it nor anything else in the move's
// folder holds the password.
func (m *move) report() report {
	m.t.Helper()
	e := m.must(0, "report", "--json")
	var r report
	if err := json.Unmarshal([]byte(e.out), &r); err != nil {
		m.t.Fatalf("report --json: %v\n%s", err, tail(e.out))
	}
	entries, err := os.ReadDir(filepath.Join(m.dir, ".whimbrel"))
	if err != nil {
		m.t.Fatal(err)
	}
	found := false
	for _, f := range entries {
		if !f.Type().IsRegular() {
			continue
		}
		text, err := os.ReadFile(filepath.Join(m.dir, ".whimbrel", f.Name()))
		if err != nil {
			m.t.Fatal(err)
		}
		found = found || f.Name() == "report.json"
		if bytes.Contains(text, []byte(testserver.Password)) {
			m.t.Errorf("the password is in %s", f.Name())
		}
	}
	if !found {
		m.t.Error("there is no report.json")
	}
	return r
}

// status is what status --json says, as far as the tests look.
type status struct {
	State  string  `json:"state"`
	Step   string  `json:"step"`
	Phases []phase `json:"phases"`
	Tables []table `json:"tables"`
}

// status asks the running program where it stands; false when it does not say, as it has just been started or has died.
func (m *move) status() (status, bool) {
	var s status
	out, err := m.command("status", "--json").Output()
	if err != nil || json.Unmarshal(out, &s) != nil {
		return s, false
	}
	return s, true
}

// on says how far a step is: "not begun", "under way", "settled", "done", …
func (s status) on(name string) string {
	for _, p := range s.Phases {
		for _, x := range p.Steps {
			if x.Name == name {
				return x.State
			}
		}
	}
	return ""
}

// open opens a database for the judge.
func open(t *testing.T, at string) *oracle.Database {
	t.Helper()
	d, err := oracle.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// fresh starts a database of a product and returns its URL.
func fresh(t *testing.T, product string) string {
	t.Helper()
	return map[string]func(testing.TB) string{"postgres": testserver.Postgres, "mariadb": testserver.MariaDB, "sqlite": testserver.SQLite}[product](t)
}

// products are those that every test of pairs goes through.
func products() []string { return []string{"postgres", "mariadb", "sqlite"} }
