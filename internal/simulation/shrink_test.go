package simulation

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// shrink makes a failing list of decisions shorter and plainer, while it fails in the same kind: parts of it are left out or become
// 0, first halves, then quarters, down to single decisions. It plays at most that many schedules.
func shrink(words []uint32, most int, fails func([]uint32) bool) []uint32 {
	played := 0
	try := func(w []uint32) bool {
		w = trimmed(w)
		if played == most || len(w) == len(words) && slices.Equal(w, words) {
			return false
		}
		if played++; !fails(w) {
			return false
		}
		words = w
		return true
	}
	words = trimmed(words)
	for part := max(len(words)/2, 1); ; part = max(part/2, 1) {
		again := false
		for at := 0; at < len(words); {
			end := min(at+part, len(words))
			if try(slices.Concat(words[:at], words[end:])) {
				again = true
				continue
			}
			plain := slices.Clone(words)
			clear(plain[at:end])
			again = try(plain) || again
			at += part
		}
		if played == most || part == 1 && !again {
			return words
		}
	}
}

// trimmed leaves the zeros at the end out: beyond the end every decision is 0.
func trimmed(words []uint32) []uint32 {
	for len(words) > 0 && words[len(words)-1] == 0 {
		words = words[:len(words)-1]
	}
	return words
}

// keep shrinks a schedule that failed and writes it to a file that TestRegressions plays. It returns what to tell.
func keep(t *testing.T, seed uint64, r result, f flaws, mutant, dir, folder string) string {
	t.Helper()
	kind := r.failed.kind
	words := shrink(r.words, 500, func(words []uint32) bool {
		is := run(t, played(words), f, dir)
		return is.failed != nil && is.failed.kind == kind
	})
	short := run(t, played(words), f, dir)
	if short.failed == nil {
		return fmt.Sprintf("seed %d: %s; it does not fail again", seed, r.failed)
	}
	file := filepath.Join(folder, fmt.Sprintf("seed-%d.schedule", seed))
	notes := fmt.Sprintf("seed %d: %s\n%s", seed, short.failed, short.trace)
	if err := os.WriteFile(file, []byte(kept{Mutant: mutant, Trouble: string(f.trouble), Words: words, Notes: notes}.String()), 0o600); err != nil {
		t.Error(err)
	}
	return fmt.Sprintf("seed %d: %s\n%d decisions of %d make it fail too, kept in %s", seed, short.failed, len(words), len(r.words), file)
}

// TestAListShrinks: what is left is what the failure needs, and nothing else.
func TestAListShrinks(t *testing.T) {
	var words []uint32
	for i := range uint32(300) {
		words = append(words, i+1)
	}
	tries := 0
	got := shrink(words, 2000, func(w []uint32) bool {
		tries++
		a, b := slices.Index(w, 70), slices.Index(w, 200)
		return a >= 0 && b > a
	})
	if !slices.Equal(got, []uint32{70, 200}) {
		t.Fatalf("%v is left after %d tries", got, tries)
	}
}

// TestAFailingScheduleIsKept breaks a rule, and holds that the file which is written fails by the same rule, is much shorter, and
// passes when the rule is kept.
func TestAFailingScheduleIsKept(t *testing.T) {
	dir, folder := shelf(t), t.TempDir()
	broken := mutantOf(t, "forget-upto")
	for seed := uint64(1); ; seed++ {
		r := run(t, drawn(seed), broken.flaws, dir)
		if r.failed == nil {
			continue
		}
		told := keep(t, seed, r, broken.flaws, broken.name, dir, folder)
		files, err := filepath.Glob(filepath.Join(folder, "*.schedule"))
		if err != nil || len(files) != 1 {
			t.Fatalf("%q, %v; %s", files, err, told)
		}
		k, err := read(files[0])
		if err != nil || k.Mutant != broken.name {
			t.Fatalf("%+v, %v", k, err)
		}
		again := run(t, played(k.Words), broken.flaws, dir)
		if again.failed == nil || again.failed.kind != r.failed.kind || len(k.Words) >= len(r.words) {
			t.Fatalf("%s: %v with %d decisions of %d", told, again.failed, len(k.Words), len(r.words))
		}
		if sound := run(t, played(k.Words), flaws{}, dir); sound.failed != nil {
			t.Fatalf("without the flaw: %s", sound.failed)
		}
		t.Log(told)
		return
	}
}
