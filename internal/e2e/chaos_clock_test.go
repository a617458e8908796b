package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/internal/e2e/shop"
)

// TestChaosClock moves the shop with a program whose own clock is set on and back by up to a year several times a second, as a machine's
// is whose time service has lost its mind, and kills it now and then. Whatever it says about hours, no row may be missing.
func TestChaosClock(t *testing.T) {
	program, err := turning()
	if err != nil {
		t.Fatal(err)
	}
	for _, pair := range []killPair{{"mariadb", "postgres"}, {"postgres", "mariadb"}, {"sqlite", "postgres"}} {
		t.Run(pair.String(), func(t *testing.T) {
			l := newLive(t, pair.source, pair.target, shop.Options{Seed: seed(t), Accounts: 60, Sessions: 2, Pause: 10 * time.Millisecond})
			m := newMove(t, plan{source: l.source, target: l.target, uptime: l.shop.Uptime(), extra: levels})
			m.program = program
			l.open()
			for n := 1; n <= 6; n++ { // each lives a little longer
				p := m.start("", "run", "--yes")
				time.AfterFunc(time.Duration(n)*250*time.Millisecond, func() { _ = p.cmd.Process.Signal(syscall.SIGKILL) })
				m.finish(p)
			}
			for try := 0; ; try++ {
				e := m.do("run", "--yes")
				if e.code == 0 {
					break
				}
				if e.code != 1 || !strings.Contains(e.said, "goes on") || try == 5 {
					t.Fatalf("a command ended with %d:\n%s", e.code, tail(e.said))
				}
			}
			l.refused()
			l.equal()
			l.leftovers()
			if r := m.report(); r.DowntimeSeconds < 0 {
				t.Errorf("the report has a downtime of %v s", r.DowntimeSeconds)
			}
		})
	}
}

// turning builds the program once with a clock that is turned: a wall clock's reading, and not what waits are measured by.
var turning = sync.OnceValues(func() (string, error) {
	fair, err := built()
	if err != nil {
		return "", err
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", err
	}
	file := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	const reading = "\tsec, nsec, mono := runtimeNow()\n"
	if strings.Count(string(text), reading) != 1 {
		return "", fmt.Errorf("%s does not read the clock as it did; see where Now does", file)
	}
	turned := strings.Replace(string(text), reading, reading+"\tsec += turned(mono)\n", 1) + `
// turned is by how many seconds the clock is wrong: something else every quarter of a second.
func turned(mono int64) int64 { return [...]int64{0, 30 * 86400, -30 * 86400, 3600, -7, 365 * 86400}[mono>>28%6] }
`
	dir := filepath.Dir(fair)
	overlay, path := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "turning")
	list, err := json.Marshal(map[string]map[string]string{"Replace": {file: filepath.Join(dir, "time.go")}})
	if err != nil {
		return "", err
	}
	for name, text := range map[string][]byte{filepath.Join(dir, "time.go"): []byte(turned), overlay: list} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			return "", err
		}
	}
	if out, err := exec.Command("go", "build", "-overlay", overlay, "-o", path, "../../cmd/whimbrel").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program with a clock that is turned: %w\n%s", err, out)
	}
	return path, nil
})
