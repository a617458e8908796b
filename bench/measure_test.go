package bench

import (
	"bytes"
	"fmt"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/internal/testserver"
)

// cost is what one run took.
type cost struct {
	wall     time.Duration
	client   time.Duration // CPU of the programs that were started
	server   time.Duration // CPU of both servers
	resident int64         // the most memory of one of the programs, in bytes
}

// measure runs a pipe of commands, each writing to the next, and says what it cost.
func measure(b *testing.B, servers []*testserver.Server, pipe ...*exec.Cmd) cost {
	b.Helper()
	before := busy(b, servers)
	began := time.Now()
	said := make([]bytes.Buffer, len(pipe))
	for i, c := range pipe {
		c.Stderr = &said[i]
		if i+1 < len(pipe) {
			r, err := c.StdoutPipe()
			if err != nil {
				b.Fatal(err)
			}
			pipe[i+1].Stdin = r
		}
	}
	for _, c := range pipe {
		if err := c.Start(); err != nil {
			b.Fatal(err)
		}
	}
	var k cost
	for i := len(pipe) - 1; i >= 0; i-- {
		if err := pipe[i].Wait(); err != nil {
			b.Fatalf("%s: %v\n%s", pipe[i].Path, err, said[i].String())
		}
		state := pipe[i].ProcessState
		k.client += state.UserTime() + state.SystemTime()
		if use, ok := state.SysUsage().(*syscall.Rusage); ok {
			k.resident = max(k.resident, use.Maxrss*1024)
		}
	}
	k.wall, k.server = time.Since(began), busy(b, servers)-before
	return k
}

func busy(b *testing.B, servers []*testserver.Server) time.Duration {
	b.Helper()
	var sum time.Duration
	for _, s := range servers {
		d, err := s.CPU()
		if err != nil {
			b.Fatal(err)
		}
		sum += d
	}
	return sum
}

// row prints one line of the table that goes into docs/performance.md.
func row(job, by string, rows int, size int64, k cost, note string) {
	s := k.wall.Seconds()
	fmt.Printf("| %s | %s | %.1f | %.0f | %.1f | %.1f (%.1f) | %d | %s |\n", job, by, s, float64(rows)/s, float64(size)/1e6/s,
		(k.client + k.server).Seconds(), k.client.Seconds(), k.resident>>20, note)
}
