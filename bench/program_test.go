package bench

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/internal/testserver"
)

// move is one move by the program, with everything that it remembers in a folder of its own.
type move struct {
	program, dir string
	servers      []*testserver.Server
}

// newMove writes the configuration: both URLs and the lines that are given.
func (g *grounds) newMove(b testing.TB, from, to database, lines ...string) *move {
	b.Helper()
	m := &move{program: g.program, dir: b.TempDir(), servers: servers(from, to)}
	text := fmt.Sprintf("source: {url: %q}\ntarget: {url: %q}\n%s\n%s\n", from.url, to.url, strings.Join(lines, "\n"), os.Getenv("BENCH_MOVE"))
	if err := os.WriteFile(filepath.Join(m.dir, "whimbrel.yaml"), []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	return m
}

// mark is the moment at which the program said that a step began, asked or ended, with what had been used until then.
type mark struct {
	event, step string
	reading
	client time.Duration
	peak   int64
}

// is compares a mark with what is written as "done drain".
func (m mark) is(name string) bool { return m.event+" "+m.step == name }

// marks are those of one process, the first one its start.
type marks []mark

var said = regexp.MustCompile(`INF (started|asks|done) step=(\S+)`)

// run runs the program and marks what it says, until the mark of that name, at which it is killed: it can bear that, and what it
// would do next is not to be counted. An empty name lets it come to its end. The step's action begins after its line is
// written, so that a mark counts nothing that follows it but the moment that it takes to read the meters.
func (m *move) run(b testing.TB, until string, args ...string) (marks, error) {
	b.Helper()
	c := exec.Command(m.program, args...)
	c.Dir = m.dir
	out, err := c.StderrPipe()
	if err != nil {
		return nil, err
	}
	all := marks{{event: "begin", reading: read(b, m.servers)}}
	if err := c.Start(); err != nil {
		return nil, err
	}
	late := time.AfterFunc(patience, func() { _ = c.Process.Kill() })
	defer late.Stop()
	var errors []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		parts := said.FindStringSubmatch(lines.Text())
		if parts == nil {
			errors = append(errors, lines.Text())
			continue
		}
		next := mark{event: parts[1], step: parts[2], client: used(c.Process.Pid), peak: peak(c.Process.Pid), reading: read(b, m.servers)}
		all = append(all, next)
		if next.is(until) {
			_ = c.Process.Kill()
		}
	}
	err = c.Wait()
	last := mark{event: "end", client: c.ProcessState.UserTime() + c.ProcessState.SystemTime(), reading: read(b, m.servers)}
	if use, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
		last.peak = use.Maxrss << 10
	}
	all = append(all, last)
	if until != "" && all.find(until) < 0 || until == "" && err != nil && c.ProcessState.ExitCode() != waiting {
		return all, fmt.Errorf("whimbrel %q: %w\n%s", args, err, tail(strings.Join(errors, "\n")))
	}
	return all, nil
}

// waiting is the exit code of a run that ends at a question.
const waiting = 3

func (all marks) find(name string) int {
	return slices.IndexFunc(all, func(m mark) bool { return m.is(name) })
}

// between is what was used from one mark to another; an empty name is the begin or the end.
func (all marks) between(b testing.TB, from, to string) sample {
	b.Helper()
	i, k := 0, len(all)-1
	if from != "" {
		i = all.find(from)
	}
	if to != "" {
		k = all.find(to)
	}
	if i < 0 || k < i {
		b.Fatalf("the program did not say %q and then %q", from, to)
	}
	return all[k].since(all[i].reading, all[k].client-all[i].client, all[k].peak)
}

// steps says what each mark had cost since the one before it, in CPU seconds of everybody, for who wants to know where
// the time went; marks that cost nothing are left out. Steps that run beside each other share the figures.
func (all marks) steps() string {
	var text []string
	for i := 1; i < len(all); i++ {
		c, s := all[i].client-all[i-1].client, all[i].servers-all[i-1].servers
		if c+s >= 30*time.Millisecond {
			text = append(text, fmt.Sprintf("%s %s: %.2f s, %.2f+%.2f", all[i].event, all[i].step, all[i].at.Sub(all[i-1].at).Seconds(), c.Seconds(), s.Seconds()))
		}
	}
	return strings.Join(text, "; ")
}

// do runs one command of the program that belongs to no measurement.
func (m *move) do(b testing.TB, args ...string) {
	b.Helper()
	c := exec.Command(m.program, args...)
	c.Dir = m.dir
	if out, err := c.CombinedOutput(); err != nil {
		b.Fatalf("whimbrel %q: %v\n%s", args, err, tail(string(out)))
	}
}
