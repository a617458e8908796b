package simulation

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patch replaces a piece of the program's text by one with the rule taken away where the mutant's name is asked for. A text that is
// not there once is an error: the mutant must follow the program.
type patch struct{ file, old, new string }

var patches = []patch{
	{ // the entries are forgotten before the target has committed
		"replay/lane.go", `	failpoint.Hit("replay.apply.before")
`, `	if mutant == "forget-first" {
		if err := b.receipt.Forget(ctx, delta.Number-1); err != nil {
			return err
		}
	}
	failpoint.Hit("replay.apply.before")
`,
	},
	{
		"replay/lane.go", `	if err := b.receipt.Forget(ctx, delta.Number); err != nil {
		return fmt.Errorf("forget`, `	if mutant == "forget-first" {
		return nil
	}
	if err := b.receipt.Forget(ctx, delta.Number); err != nil {
		return fmt.Errorf("forget`,
	},
	{ // the two sides may remember whatever they like
		"replay/lane.go", `	default:
		return fmt.Errorf("%w (the source`, `	default:
		if mutant == "numbers-not-compared" {
			l.number = last
			return nil
		}
		return fmt.Errorf("%w (the source`,
	},
	{ // the batch behind is applied first
		"replay/lane.go", `	if err == nil {
		close(ready)
		err = l.settle(ctx, l.now)
	}
	if err != nil {
		cancel()
	}
	wg.Wait()
`, `	if mutant == "ahead-passes" && err == nil {
		close(ready)
		wg.Wait()
		if taken != nil || l.next.empty() {
			return taken
		}
		if err := l.settle(ctx, l.next); err != nil {
			return err
		}
		l.next.entries = 0
		return l.settle(ctx, l.now)
	}
	if err == nil {
		close(ready)
		err = l.settle(ctx, l.now)
	}
	if err != nil {
		cancel()
	}
	wg.Wait()
`,
	},
	{ // a table that was emptied is emptied
		"replay/reconcile.go", `func (l *Lane) Reconcile(ctx context.Context) error {`,
		`func (l *Lane) Reconcile(ctx context.Context) error {
	if mutant == "emptied-replayed" {
		return l.emptied(ctx)
	}
	return l.reconcile(ctx)
}

// emptied is what the mutant does instead.
func (l *Lane) emptied(ctx context.Context) error {
	keys := l.To.Shape.Keys()
	cursor, err := l.To.Database.Reader.Read(ctx, driver.Query{Table: l.To.Table, Shape: keys})
	if err != nil {
		return err
	}
	defer cursor.Close()
	return load.Rotate(ctx, cursor, keys.Width(), func(page *row.Batch) error {
		b := newBatch(l.From)
		if err := l.take(ctx, b, nil, nil); err != nil {
			return err
		}
		defer b.close()
		if err := b.receipt.Durable(ctx, l.number+1); err != nil {
			return err
		}
		if err := l.To.Database.Applier.Apply(ctx, driver.Delta{
			Table: l.To.Table, Shape: l.To.Shape, Lane: l.Lane, Epoch: l.Epoch, Number: l.number + 1, By: l.Epoch, Keys: page,
			Images: row.NewBatch(l.To.Shape.Width()),
		}); err != nil {
			return err
		}
		l.number++
		return b.receipt.Forget(ctx, l.number)
	})
}

func (l *Lane) reconcile(ctx context.Context) error {`,
	},
	{ // a table is replayed while it is loaded
		"move/uptime.go", `	if err := m.until(ctx, t, Replaying); err != nil {`,
		`	if err := m.until(ctx, t, Replaying); err != nil && !strings.HasPrefix(mutant, "early-") {`,
	},
	{
		"move/table.go", `return p.reached(stage) })`, `return p.reached(stage) || strings.HasPrefix(mutant, "early-") && stage == Replaying })`,
	},
	{"move/table.go", `	"sync/atomic"
`, `	"strings"
	"sync/atomic"
`},
	{"move/uptime.go", `	"slices"
	"sync"
`, `	"slices"
	"strings"
	"sync"
`},
	{ // two lanes take any key, or share the keys
		"move/uptime.go", `	err = running.Run(ctx)
`, `	if mutant == "two-lanes" || mutant == "lanes-without-repairs" {
		second := replay.NewLane(from, to, epoch)
		second.Lane, second.Most, second.Note, second.Again = 1, lane.Most, lane.Note, lane.Again
		if mutant == "lanes-without-repairs" {
			lane.Lanes, second.Lanes = 2, 2
		}
		wg.Go(func() { _ = replay.NewTable(second, make(chan struct{}, 1)).Run(stop) })
	}
	err = running.Run(ctx)
`,
	},
	{ // rows that share a unique value are not parted
		"move/uptime.go", `	if t.class == Uptime && target.Applier != nil {`, `	if t.class == Uptime && target.Applier != nil && mutant != "not-parted" {`,
	},
	{ // the plan of ranges is made anew by each process
		"move/uptime.go", `	if !planned {
		sessions`, `	if !planned || mutant == "cut-again" {
		sessions`,
	},
	{ // what the watcher saw is not answered
		"move/watch.go", `	case driver.Suspect:
`, `	case driver.Suspect:
		if mutant == "fingerprints-ignored" {
			break
		}
`,
	},
	{ // the target opens whatever was compared
		"move/downtime.go", `	if len(m.tables()) == 0 {
		return nil, errors.New("the tables`, `	if mutant == "opens-unproven" {
		return nil, nil
	}
	if len(m.tables()) == 0 {
		return nil, errors.New("the tables`,
	},
}

// variable names the mutant to the binary that has them all.
const variable = "WHIMBREL_MUTANT"

// huntMost is how many schedules may pass before a mutant counts as one that survived: less than a minute on an idle machine.
const huntMost = 3000

var hunt = flag.String("hunt", "", "the mutant that TestHunt hunts")

// mutated compiles the test binary of this package with every patch in it, none of them switched on.
func mutated(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	replaced := map[string]string{}
	texts := map[string]string{}
	for _, p := range patches {
		file, err := filepath.Abs(filepath.Join("..", filepath.FromSlash(p.file)))
		must(err)
		if texts[file] == "" {
			text, err := os.ReadFile(file)
			must(err)
			texts[file] = string(text)
		}
		if n := strings.Count(texts[file], p.old); n != 1 {
			t.Fatalf("%s has this text %d times, so a mutant can not be made of it:\n%s", p.file, n, p.old)
		}
		texts[file] = strings.Replace(texts[file], p.old, p.new, 1)
		folder := filepath.Dir(file)
		texts[filepath.Join(folder, "mutant_overlay.go")] = "package " + filepath.Base(folder) + `

import "os"

var mutant = os.Getenv("` + variable + `")
`
	}
	for file, text := range texts {
		to := filepath.Join(dir, strings.ReplaceAll(strings.TrimPrefix(file, string(filepath.Separator)), string(filepath.Separator), "_"))
		must(os.WriteFile(to, []byte(text), 0o600))
		replaced[file] = to
	}
	text, err := json.Marshal(map[string]any{"Replace": replaced})
	must(err)
	overlay, binary := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "mutated.test")
	must(os.WriteFile(overlay, text, 0o600))
	if out, err := exec.Command("go", "test", "-c", "-overlay", overlay, "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("compile the mutants: %v\n%s", err, out)
	}
	return binary
}

// TestHunt is run by TestEveryMutantIsKilled, in a process of its own where the mutant is one of the program's own code. Without
// -hunt it holds that the program as it is survives the first schedules.
func TestHunt(t *testing.T) {
	var m mutant
	if *hunt != "" {
		m = mutantOf(t, *hunt)
	}
	dir, began := shelf(t), time.Now()
	most := uint64(30)
	if *hunt != "" {
		most = huntMost
	}
	for seed := uint64(1); seed <= most; seed++ {
		if r := run(t, drawn(seed), m.flaws, dir); r.failed != nil {
			t.Fatalf("killed by schedule %d in %.1f s: %s", seed, time.Since(began).Seconds(), firstLine(r.failed.String()))
		}
	}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line[:min(len(line), 160)]
}

// TestEveryMutantIsKilled takes one rule after the other away: within a minute a schedule must see the damage. The binary of the
// mutants with none switched on must see none.
func TestEveryMutantIsKilled(t *testing.T) {
	binary := mutated(t)
	if out, err := exec.Command(binary, "-test.run=^TestHunt$").CombinedOutput(); err != nil {
		t.Fatalf("with no mutant switched on: %v\n%s", err, out)
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			program := os.Args[0]
			if m.core {
				program = binary
			}
			cmd := exec.Command(program, "-test.run=^TestHunt$", "-hunt", m.name)
			cmd.Env = append(os.Environ(), variable+"="+m.name)
			out, err := cmd.CombinedOutput()
			_, told, killed := strings.Cut(string(out), "killed by ")
			if err == nil || !killed {
				t.Fatalf("%s (%s) survived: %v\n%s", m.name, m.rules, err, out)
			}
			t.Logf("killed %s (%s) by %s", m.name, m.rules, firstLine(told))
		})
	}
}
