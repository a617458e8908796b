package state

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"go.uber.org/goleak"

	"github.com/whimbrel/whimbrel/internal/procedure"
	"github.com/whimbrel/whimbrel/row"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("STATE_CHILD"); dir != "" {
		child(dir)
	}
	goleak.VerifyTestMain(m)
}

// child writes to a state for ever and prints what was acknowledged.
func child(dir string) {
	s, err := Open(dir)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for n := 1; ; n++ {
		e, err := s.Append(context.Background(), procedure.Entry{Step: "a", Event: procedure.Started})
		if err == nil {
			_, err = s.SavePlan(context.Background(), 1, ranges(n))
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("kept", e.Seq, n)
	}
}

func open(t *testing.T, dir string) *State {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// ranges are n adjoining ranges, open at both ends.
func ranges(n int) iter.Seq2[row.Range, error] {
	return func(yield func(row.Range, error) bool) {
		var after row.Key
		for i := 1; i <= n; i++ {
			r := row.Range{Number: i, After: after}
			if i < n {
				r.Upto = row.MakeKey(binary.BigEndian.AppendUint64(nil, uint64(i)))
			}
			if after = r.Upto; !yield(r, nil) {
				return
			}
		}
	}
}

func TestWhatWasKeptIsThereAgain(t *testing.T) {
	ctx, dir := t.Context(), filepath.Join(t.TempDir(), "deep", ".whimbrel")
	s := open(t, dir)
	run, err := s.Run(ctx)
	if err != nil || len(run) < 8 || strings.ToLower(run) != run {
		t.Fatalf("run %q, %v", run, err)
	}
	first, err := s.Append(ctx, procedure.Entry{Event: procedure.Begun, Detail: "standard"})
	if err != nil || first.Seq != 1 || first.At.IsZero() {
		t.Fatalf("%+v, %v", first, err)
	}
	second, err := s.Append(ctx, procedure.Entry{Step: "inspect", Event: procedure.Failed, Detail: "ö\x00'"})
	if err != nil {
		t.Fatal(err)
	}
	type plan struct{ Tables []string }
	for _, err := range []error{
		s.Set(ctx, "a", "1"), s.Set(ctx, "a", "2"), s.SetDocument(ctx, "plan", plan{[]string{"x"}}), s.SetDocument(ctx, "plan", plan{[]string{"y", "z"}}),
		s.SetDocument(ctx, "gone", 1), s.DeleteDocument(ctx, "gone"), s.DeleteDocument(ctx, "gone"),
		s.Add(ctx, Count{1, "rows", 5}, Count{2, "rows", 1}), s.Add(ctx, Count{1, "rows", 6}), s.Close(), s.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, dir)
	entries, err := s.Entries(ctx)
	if want := []procedure.Entry{first, second}; err != nil || !reflect.DeepEqual(entries, want) {
		t.Errorf("entries %+v, %v, want %+v", entries, err, want)
	}
	var got plan
	if found, err := s.Document(ctx, "plan", &got); !found || err != nil || !reflect.DeepEqual(got.Tables, []string{"y", "z"}) {
		t.Errorf("document %v %v %v", found, err, got)
	}
	if found, err := s.Document(ctx, "gone", &got); found || err != nil {
		t.Errorf("a document that was deleted: %v %v", found, err)
	}
	if v, err := s.Setting(ctx, "a"); v != "2" || err != nil {
		t.Errorf("setting %q %v", v, err)
	}
	if counts, err := s.Counts(ctx); err != nil || !reflect.DeepEqual(counts, []Count{{1, "rows", 11}, {2, "rows", 1}}) {
		t.Errorf("counts %v %v", counts, err)
	}
	if again, err := s.Run(ctx); again != run || err != nil {
		t.Errorf("run %q %v, was %q", again, err, run)
	}
}

func TestARunIsForgottenButNotItsJournal(t *testing.T) {
	ctx := t.Context()
	s := open(t, t.TempDir())
	run, _ := s.Run(ctx)
	for _, err := range []error{s.Set(ctx, "a", "1"), s.SetDocument(ctx, "d", 1), s.Add(ctx, Count{1, "x", 1})} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Append(ctx, procedure.Entry{Event: procedure.Begun}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SavePlan(ctx, 1, ranges(3)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Forget(ctx, "kept"), s.Forget(ctx, "kept")); err != nil {
		t.Fatal(err)
	}
	_, planned, err := s.Planned(ctx, 1)
	found, _ := s.Document(ctx, "d", new(int))
	setting, _ := s.Setting(ctx, "a")
	counts, _ := s.Counts(ctx)
	if planned || err != nil || found || setting != "" || counts != nil || len(collect(t, s, 1)) > 0 {
		t.Errorf("left: plan %v %v, document %v, setting %q, counts %v", planned, err, found, setting, counts)
	}
	if entries, _ := s.Entries(ctx); len(entries) != 1 {
		t.Errorf("journal %v", entries)
	}
	if again, _ := s.Run(ctx); again == run {
		t.Error("the next run has the same id")
	}
}

func collect(t *testing.T, s *State, table int) (all []row.Range) {
	t.Helper()
	for r, err := range s.Ranges(t.Context(), table) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

func TestAPlanIsKeptWholeOrNotAtAll(t *testing.T) {
	s := open(t, t.TempDir())
	if n, err := s.SavePlan(t.Context(), 7, ranges(3)); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	broken := func(yield func(row.Range, error) bool) {
		_ = yield(row.Range{Number: 1}, nil) && yield(row.Range{}, errors.New("no luck"))
	}
	if _, err := s.SavePlan(t.Context(), 7, broken); err == nil || !strings.Contains(err.Error(), "no luck") {
		t.Fatal(err)
	}
	got := collect(t, s, 7)
	if len(got) != 3 || got[0].After != nil || got[2].Upto != nil || !got[0].Adjoin(got[1]) || !got[1].Adjoin(got[2]) {
		t.Fatalf("ranges %v", got)
	}
	if n, ok, err := s.Planned(t.Context(), 7); n != 3 || !ok || err != nil {
		t.Error(n, ok, err)
	}
	if _, err := s.SavePlan(t.Context(), 7, func(yield func(row.Range, error) bool) { yield(row.Range{Number: 1}, nil) }); err != nil {
		t.Fatal(err)
	}
	if got := collect(t, s, 7); len(got) != 1 || !got[0].Whole() {
		t.Errorf("the whole table is %v", got)
	}
	for _, err := range s.Ranges(t.Context(), 7) { // a reader that stops early
		if err != nil {
			t.Error(err)
		}
		break
	}
	if err := errors.Join(s.DropPlan(t.Context(), 7), s.DropPlan(t.Context(), 7)); err != nil || len(collect(t, s, 7)) > 0 {
		t.Error("dropped", err)
	}
}

func TestOneProcessHoldsAState(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	_, err := Open(dir)
	var held *HeldError
	if !errors.As(err, &held) || held.PID != os.Getpid() {
		t.Fatalf("error %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
}

func TestKilledAStateKeepsWhatItAcknowledged(t *testing.T) {
	dir := t.TempDir()
	for round := range 5 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "STATE_CHILD="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var seq int64
		var n int
		for range 20 + 7*round {
			if _, err := fmt.Fscanf(out, "kept %d %d\n", &seq, &n); err != nil {
				t.Fatal(err)
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		s := open(t, dir)
		entries, err := s.Entries(t.Context())
		if err != nil || int64(len(entries)) < seq {
			t.Fatalf("%d entries after %d were acknowledged, %v", len(entries), seq, err)
		}
		planned, _, err := s.Planned(t.Context(), 1)
		if got := len(collect(t, s, 1)); err != nil || got != planned || planned < n {
			t.Fatalf("%d ranges, planned %d, acknowledged %d, %v", got, planned, n, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFilesThatAreNoState(t *testing.T) {
	for name, c := range map[string]struct {
		make func(t *testing.T, path string)
		want string
	}{
		"garbage": {func(t *testing.T, path string) { write(t, path, strings.Repeat("no database ", 1000)) }, "can not be read as a state of whimbrel"},
		"foreign": {func(t *testing.T, path string) { execute(t, path, `CREATE TABLE a (b)`) }, "is a database of something else"},
		"newer": {func(t *testing.T, path string) {
			execute(t, path, fmt.Sprintf(`PRAGMA application_id=%d; PRAGMA user_version=99`, application))
		}, "was written by a newer whimbrel"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, File)
			c.make(t, path)
			before, _ := os.ReadFile(path)
			s, err := Open(dir)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("state %v, error %v", s, err)
			}
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Error("the file was changed")
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			open(t, dir) // the lock was given back
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func execute(t *testing.T, path, sql string) {
	t.Helper()
	s := &State{dir: filepath.Dir(path)}
	if err := s.connect(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.db.Exec(sql), s.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestTheJournalIsOnlyAppendedTo(t *testing.T) {
	s := open(t, t.TempDir())
	if _, err := s.Append(t.Context(), procedure.Entry{Event: procedure.Begun}); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{`DELETE FROM journal`, `UPDATE journal SET event = 'x'`} {
		if err := s.db.Exec(sql); err == nil {
			t.Errorf("%s was done", sql)
		}
	}
}

func TestManyGoroutines(t *testing.T) {
	s := open(t, t.TempDir())
	if _, err := s.SavePlan(t.Context(), 1, ranges(1000)); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				_, err := s.Append(t.Context(), procedure.Entry{Event: procedure.Begun})
				if err := errors.Join(err, s.Add(t.Context(), Count{1, "x", 1})); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range 5 {
				if got := len(collect(t, s, 1)); got != 1000 {
					t.Errorf("%d ranges", got)
				}
			}
		})
	}
	wg.Wait()
	counts, err := s.Counts(t.Context())
	entries, _ := s.Entries(t.Context())
	if err != nil || counts[0].By != 80 || len(entries) != 80 {
		t.Errorf("counts %v, %d entries, %v", counts, len(entries), err)
	}
}

func BenchmarkAMillionRanges(b *testing.B) {
	s, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for b.Loop() {
		if _, err := s.SavePlan(b.Context(), 1, ranges(1_000_000)); err != nil {
			b.Fatal(err)
		}
		n := 0
		for _, err := range s.Ranges(b.Context(), 1) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != 1_000_000 {
			b.Fatal(n)
		}
	}
}

func TestManyDocumentsAreKeptTogether(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := s.SetDocuments(t.Context(), map[string]any{"print/1": "a", "print/2": "b", "prints": "c"}); err != nil {
		t.Fatal(err)
	}
	if err := s.SetDocuments(t.Context(), map[string]any{"print/1": "d", "print/3": func() {}}); err == nil {
		t.Fatal("what JSON can not say was kept")
	}
	if err := s.NoteDocument(t.Context(), "print/2", "e"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	found := map[string]string{}
	if err := s.Documents(t.Context(), "print", func(key string, body []byte) error {
		found[key] = string(body)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"print/1": `"a"`, "print/2": `"e"`}; !reflect.DeepEqual(found, want) {
		t.Errorf("%q", found)
	}
}

// What is noted soon is on disk with the next entry: the file is set back to waiting for the disk each time.
func TestNotingSoonDoesNotWeakenTheJournal(t *testing.T) {
	s := open(t, t.TempDir())
	for range 2 {
		if err := s.NoteDocument(t.Context(), "a", 1); err != nil {
			t.Fatal(err)
		}
		if err := s.Add(t.Context(), Count{Table: 1, Name: "rows", By: 1}); err != nil {
			t.Fatal(err)
		}
		var mode int64
		if err := s.query("PRAGMA synchronous", nil, func(row *sqlite3.Stmt) error {
			mode = row.ColumnInt64(0)
			return nil
		}); err != nil || mode != 2 {
			t.Fatalf("synchronous is %d (%v), not 2, which is FULL", mode, err)
		}
	}
}

func TestAPlanOfWholeTables(t *testing.T) {
	s := open(t, t.TempDir())
	if _, err := s.SavePlan(t.Context(), 2, ranges(3)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.SaveWhole(t.Context(), 1, 7); err != nil {
			t.Fatal(err)
		}
	}
	plans, err := s.Plans(t.Context())
	if want := map[int]int{1: 1, 2: 3, 7: 1}; err != nil || !reflect.DeepEqual(plans, want) {
		t.Fatalf("%v, %v", plans, err)
	}
	for _, table := range []int{1, 7} {
		if got := collect(t, s, table); !reflect.DeepEqual(got, []row.Range{{Number: 1}}) {
			t.Errorf("table %d: %v", table, got)
		}
	}
}
