package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/internal/testserver"
)

// quantity is one figure of a run, named with its unit.
type quantity string

// What measure says of every run. CPU seconds bear neighbours on the machine better than wall seconds do.
const (
	wall     quantity = "wall_s"
	cpu      quantity = "cpu_s"        // client and servers together
	client   quantity = "client_cpu_s" // the programs that were started, those they started included
	serving  quantity = "server_cpu_s" // all processes of both servers
	resident quantity = "rss_mib"      // the most memory of the client's processes together
	foreign  quantity = "foreign"      // processors that everybody else on the machine used meanwhile
)

// sample is what one run of one contestant took.
type sample map[quantity]float64

const mib = 1 << 20

// reading is the processor time used so far.
type reading struct {
	at      time.Time
	servers time.Duration
	machine time.Duration // by everybody
}

func read(b testing.TB, servers []*testserver.Server) reading {
	b.Helper()
	r := reading{at: time.Now(), machine: machineCPU(b)}
	for _, s := range servers {
		r.servers += serverCPU(b, s)
	}
	return r
}

// serverCPU is the processor time that a server's processes have used so far, those that have ended included. It looks at no
// other processes, so that it may be asked while a run is measured.
func serverCPU(b testing.TB, s *testserver.Server) time.Duration {
	b.Helper()
	file := map[string]string{"postgres": "data/postmaster.pid", "mariadb": "pid"}[s.Product]
	text, err := os.ReadFile(filepath.Join(s.Dir, file))
	if err != nil {
		b.Fatal(err)
	}
	main, err := strconv.Atoi(strings.TrimSpace(strings.SplitN(string(text), "\n", 2)[0]))
	if err != nil {
		b.Fatal(err)
	}
	ids, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", main, main))
	if err != nil {
		b.Fatal(err)
	}
	var ticks int64
	for _, id := range append(strings.Fields(string(ids)), strconv.Itoa(main)) {
		p, _ := stat("/proc/" + id + "/stat") // a child that has just ended is counted in its parent
		ticks += p.ticks + p.waited
	}
	return time.Duration(ticks) * tick
}

// since makes a sample of two readings and of what the client used between them.
func (r reading) since(earlier reading, clientCPU time.Duration, residentBytes int64) sample {
	w, s := r.at.Sub(earlier.at), r.servers-earlier.servers
	return sample{
		wall: w.Seconds(), client: clientCPU.Seconds(), serving: s.Seconds(), cpu: (clientCPU + s).Seconds(),
		resident: float64(residentBytes) / mib,
		foreign:  max(0, (r.machine-earlier.machine-clientCPU-s).Seconds()/w.Seconds()),
	}
}

// patience is how long one run of a contestant may take.
const patience = 30 * time.Minute

// measure runs a command to its end and says what it cost. The servers are those whose processor time counts. An error names
// the command and what it said.
func measure(b testing.TB, servers []*testserver.Server, c *exec.Cmd) (sample, error) {
	b.Helper()
	var said bytes.Buffer
	if c.Stderr == nil {
		c.Stderr = &said
	}
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	before := read(b, servers)
	if err := c.Start(); err != nil {
		return nil, err
	}
	late := time.AfterFunc(patience, func() { _ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) })
	defer late.Stop()
	most := watchMemory(c.Process.Pid)
	err := c.Wait()
	bytes := most()
	k := read(b, servers).since(before, c.ProcessState.UserTime()+c.ProcessState.SystemTime(), bytes)
	if err != nil {
		return k, fmt.Errorf("%.200s: %w\n%s", strings.Join(c.Args, " "), err, tail(said.String()))
	}
	return k, nil
}

// shell makes a command of a line for bash; a failure anywhere in a pipe counts.
func shell(dir, line string, env ...string) *exec.Cmd {
	c := exec.Command("bash", "-o", "pipefail", "-c", line)
	c.Dir, c.Env = dir, append(os.Environ(), env...)
	return c
}

// do runs a line for bash that belongs to no measurement and must succeed.
func do(b testing.TB, dir, line string, env ...string) {
	b.Helper()
	if out, err := shell(dir, line, env...).CombinedOutput(); err != nil {
		b.Fatalf("%.300s: %v\n%s", line, err, tail(string(out)))
	}
}

func tail(text string) string {
	if len(text) > 2000 {
		return "…" + text[len(text)-2000:]
	}
	return text
}

// watchMemory looks at a process and its descendants again and again until the function that it returns is called, which
// says how much memory they had at the most, in bytes.
func watchMemory(pid int) (most func() int64) {
	ctx, cancel := context.WithCancel(context.Background())
	var peak int64
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			peak = max(peak, memory(pid))
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
	return func() int64 {
		cancel()
		wg.Wait()
		return peak
	}
}

// memory is the resident memory of a process and its descendants, in bytes. Pages that they share count in each.
func memory(pid int) int64 {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	children, pages := map[int][]int{}, map[int]int64{}
	for _, f := range files {
		p, ok := stat(f)
		if !ok {
			continue // it has just ended
		}
		children[p.parent] = append(children[p.parent], p.id)
		pages[p.id] = p.pages
	}
	var sum int64
	for todo := []int{pid}; len(todo) > 0; {
		id := todo[0]
		todo = append(todo[1:], children[id]...)
		sum += pages[id]
	}
	return sum * int64(os.Getpagesize())
}

// process is one process as /proc shows it.
type process struct {
	id, parent int
	ticks      int64 // of processor time
	waited     int64 // of children that it has waited for
	pages      int64 // resident
}

func stat(file string) (process, bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return process{}, false
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 22 {
		return process{}, false
	}
	number := func(s string) int64 {
		n, _ := strconv.ParseInt(s, 10, 64)
		return n
	}
	id, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
	return process{
		id: id, parent: int(number(fields[1])), ticks: number(fields[11]) + number(fields[12]), waited: number(fields[13]) + number(fields[14]),
		pages: number(fields[21]),
	}, err == nil
}

// tick is what /proc counts in, on every Linux that Go runs on.
const tick = time.Second / 100

// used is the processor time of one process.
func used(pid int) time.Duration {
	p, _ := stat(fmt.Sprintf("/proc/%d/stat", pid))
	return time.Duration(p.ticks) * tick
}

// peak is the most memory that one process has had so far, in bytes.
func peak(pid int) int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	var kib int64
	_, _ = fmt.Sscan(rest, &kib)
	return kib << 10
}

// machineCPU is the processor time that the whole machine has used so far, waiting for disks not counted.
func machineCPU(b testing.TB) time.Duration {
	b.Helper()
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		b.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	var sum time.Duration
	for i, field := range strings.Fields(line)[1:] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		if idle := i == 3 || i == 4; !idle && i < 8 { // guests are counted in user time already
			sum += time.Duration(n) * tick
		}
	}
	return sum
}
