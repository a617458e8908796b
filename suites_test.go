package whimbrel_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// inSuites returns how many suites of scripts/test.sh run a test of internal/e2e, by its name.
func inSuites(t *testing.T) func(name string) int {
	t.Helper()
	text, err := os.ReadFile("scripts/test.sh")
	if err != nil {
		t.Fatal(err)
	}
	var patterns []*regexp.Regexp
	for _, found := range regexp.MustCompile(`-run '([^']+)' \./internal/e2e`).FindAllStringSubmatch(string(text), -1) {
		patterns = append(patterns, regexp.MustCompile(found[1]))
	}
	if len(patterns) < 5 {
		t.Fatalf("scripts/test.sh has %d suites of internal/e2e", len(patterns))
	}
	return func(name string) (n int) {
		for _, p := range patterns {
			if p.MatchString(name) {
				n++
			}
		}
		return n
	}
}

// TestEveryMoveIsInASuite: whole moves are run by suites that name them, so that one which no suite names would never run.
func TestEveryMoveIsInASuite(t *testing.T) {
	in := inSuites(t)
	if n := in("TestThatNobodyNames"); n != 0 { // else this test could not fail
		t.Errorf("%d suites run a test that is not there", n)
	}
	files, err := filepath.Glob("internal/e2e/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	tests := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			name, _, is := strings.Cut(strings.TrimPrefix(line, "func "), "(t *testing.T)")
			if !is || !strings.HasPrefix(line, "func Test") {
				continue
			}
			if tests++; in(name) != 1 {
				t.Errorf("%s: %s is in %d suites of scripts/test.sh; name it in one", file, name, in(name))
			}
		}
	}
	if tests < 30 {
		t.Errorf("only %d tests found", tests)
	}
}
