package drivertest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/driver/drivertest"
	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// app lets the suite write to a memory database.
type app struct{ s *memory.Server }

func (a app) Begin(testing.TB) drivertest.Tx { return tx{a.s.Begin()} }

type tx struct{ *memory.Tx }

func (x tx) Insert(t *schema.Table, cells ...[]byte) error { return x.Tx.Insert(t.Name, cells...) }

func (x tx) Update(t *schema.Table, key row.Key, cells ...[]byte) error {
	return x.Tx.Update(t.Name, key, cells...)
}

func (x tx) Delete(t *schema.Table, key row.Key) error { return x.Tx.Delete(t.Name, key) }

func (x tx) Truncate(t *schema.Table) error { return x.Tx.Truncate(t.Name) }

func (x tx) Rollback() error { x.Tx.Rollback(); return nil }

// config tests the memory database with one flaw, and with its Databases wrapped.
func config(flaw memory.Flaw, wrap func(*driver.Database) *driver.Database) drivertest.Config {
	return drivertest.Config{
		Absent: []string{
			"Many", "Rights", "Inherit", // one table costs no wait here, everybody may do everything, and no session outlives its process
			"Free", "Vacate", "Blocked", // it has no disk, no housekeeping and no libraries
			"Shadows", "Scripts", "Relics", "Admitter", // nothing but a move speaks to it, in no language of its own
		},
		Inert:  true,
		Folded: schema.Type{Kind: row.Text, Length: 40, Collation: "folded"},
		Place: func(t testing.TB) drivertest.Place {
			s := memory.New(t.Name())
			s.Flaw = flaw
			return drivertest.Place{
				Open: func(t testing.TB, side driver.Side, run string) *driver.Database { return wrap(s.OpenFor(side, run)) },
				App:  app{s},
				Left: func(testing.TB) []string { return s.Left() },
				Kill: func(testing.TB) { s.Crash() },
				Done: func(t testing.TB) {
					if n := s.Sessions(); n != 0 {
						t.Errorf("%d sessions are left", n)
					}
				},
			}
		},
	}
}

func plain(d *driver.Database) *driver.Database { return d }

func TestMemory(t *testing.T) { drivertest.Run(t, config(memory.Sound, plain)) }

// TestFaultyWithoutFaults shows that the wrapper changes nothing by itself.
func TestFaultyWithoutFaults(t *testing.T) {
	drivertest.Run(t, config(memory.Sound, func(d *driver.Database) *driver.Database {
		return drivertest.Faulty(d, func(string) error { return nil })
	}))
}

// TestFlawed is run by TestTheSuiteFindsFlaws, in a process of its own.
func TestFlawed(t *testing.T) {
	name := os.Getenv("WHIMBREL_FLAW")
	for _, f := range memory.Flaws() {
		if f.String() == name {
			drivertest.Run(t, config(f, plain))
		}
	}
}

// TestTheSuiteFindsFlaws breaks one rule after the other: the suite must fail, and in the case that is about the rule.
func TestTheSuiteFindsFlaws(t *testing.T) {
	found := map[memory.Flaw]string{
		memory.ForgetAll:         "Capture/ForgetsExactlyWhatItTook",
		memory.ForgetUpto:        "Capture/LateCommits",
		memory.NoLine:            "Load/OnceOnly",
		memory.NoFence:           "Apply/AnOldEpoch",
		memory.FoldedKeys:        "Read/ByNearlyEqualKeys",
		memory.NoRepairs:         "Apply/DisplacedRowsAreRepaired",
		memory.NoStamps:          "Lists/StrikeUpToAStamp",
		memory.AppliedTwice:      "Apply/TheSameNumberAgain",
		memory.NewKeyOnly:        "Capture/KeyChanges",
		memory.RecordedAtOnce:    "Capture/RollbackLeavesNothing",
		memory.NoTruncates:       "Capture/Truncate",
		memory.GateLeaks:         "Gate/ShutRefusesReopenLetsIn",
		memory.GateHasty:         "Gate/ShutWaitsForWriters",
		memory.SettledAtOnce:     "Capture/Settle",
		memory.ClosedRanges:      "Read/RangesAreTheTable",
		memory.TrimmedText:       "Kinds/text",
		memory.IgnoredDuplicates: "Load/DuplicateIsAnError",
		memory.CommitOnClose:     "Load/CloseLeavesNothing",
		memory.GoesBack:          "Sequences/NeverGoBack",
		memory.AnyPromise:        "Capture/Promises",
		memory.LeavesTraces:      "Capture/InstallTwiceRemoveTwice",
	}
	for _, flaw := range memory.Flaws() {
		t.Run(flaw.String(), func(t *testing.T) {
			t.Parallel()
			where := found[flaw]
			if where == "" {
				t.Fatal("no case is named that finds it")
			}
			cmd := exec.Command(os.Args[0], "-test.run=^TestFlawed$/^"+strings.ReplaceAll(where, "/", "$/^")+"$")
			cmd.Env = append(os.Environ(), "WHIMBREL_FLAW="+flaw.String())
			out, err := cmd.CombinedOutput()
			if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
				t.Fatalf("the suite does not find it: %v\n%s", err, out)
			}
			if !strings.Contains(string(out), "--- FAIL: TestFlawed/"+where) {
				t.Fatalf("it is found elsewhere:\n%s", out)
			}
		})
	}
}

// TestFaultyMakesFaults loses an answer, and prevents a call.
func TestFaultyMakesFaults(t *testing.T) {
	ctx := context.Background()
	s := memory.New(t.Name())
	var seen []string
	at := ""
	d := drivertest.Faulty(s.Open(driver.Target), func(op string) error {
		seen = append(seen, op)
		if op == at {
			return &drivertest.Fault{Class: driver.Unknown, Op: op}
		}
		return nil
	})
	if err := d.Ledger.Prepare(ctx, "run"); err != nil {
		t.Fatal(err)
	}
	if want := []string{"before Ledger.Prepare", "after Ledger.Prepare"}; !slices.Equal(seen, want) {
		t.Fatal(seen)
	}
	at = "after Ledger.TakeOver"
	if _, err := d.Ledger.TakeOver(ctx); d.Dialect.Classify(err) != driver.Unknown {
		t.Fatal(err)
	}
	at = "before Ledger.TakeOver"
	if _, err := d.Ledger.TakeOver(ctx); d.Dialect.Classify(err) != driver.Unknown {
		t.Fatal(err)
	}
	at = ""
	if epoch, err := d.Ledger.TakeOver(ctx); err != nil || epoch != 2 {
		t.Fatalf("epoch %d: the fault after was not done, or the fault before was; %v", epoch, err)
	}
}
