package whimbrel_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEveryProofThatIsNamedIsThere: the tests, and the cases of the drivers' suite, that the pages name as what holds a rule or
// answers a hazard exist under these names.
func TestEveryProofThatIsNamedIsThere(t *testing.T) {
	var tests strings.Builder
	if err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && (strings.HasSuffix(path, "_test.go") || filepath.Dir(path) == filepath.Join("db", "driver", "drivertest") && strings.HasSuffix(path, ".go")) {
			var text []byte
			text, err = os.ReadFile(path)
			tests.Write(text)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	declared, cases := map[string]bool{}, map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^func (Test\w+|Fuzz\w+)\(`).FindAllStringSubmatch(tests.String(), -1) {
		declared[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`"(\w+)"`).FindAllStringSubmatch(tests.String(), -1) {
		cases[m[1]] = true
	}
	named := 0
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	suite := regexp.MustCompile(`suite(?: of \w+)?: ((?:[A-Z][\w/]*)(?:, [A-Z][\w/]*)*)`)
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("`(Test\\w+|Fuzz\\w+)`").FindAllStringSubmatch(string(text), -1) {
			if named++; !declared[m[1]] {
				t.Errorf("%s names %s, which is not there", page, m[1])
			}
		}
		for _, m := range suite.FindAllStringSubmatch(string(text), -1) {
			for one := range strings.SplitSeq(m[1], ", ") {
				for part := range strings.SplitSeq(one, "/") {
					if named++; !cases[part] {
						t.Errorf("%s names the case %s, which is not there", page, one)
					}
				}
			}
		}
	}
	if named < 100 {
		t.Errorf("only %d proofs are named", named)
	}
}

// TestTheModelsWordsAreTheProgramsSteps: what the models print of a step or a failpoint is a step's name, or a failpoint's, or the
// beginning of one.
func TestTheModelsWordsAreTheProgramsSteps(t *testing.T) {
	words := func(files string, expression string) (all []string) {
		t.Helper()
		paths, err := filepath.Glob(files)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(expression).FindAllStringSubmatch(string(text), -1) {
				all = append(all, m[1])
			}
		}
		return all
	}
	program := words("internal/*/*.go", `failpoint\.Hit\("([^"]+)"`)
	for _, step := range words("internal/move/story.go", `Name: +"([^"]+)"`) {
		program = append(program, step+".")
	}
	said := words("model/*.pml", `printf\("([a-z]+(?:[.-][a-z]+)+)`)
	for _, word := range said {
		if !slices.ContainsFunc(program, func(name string) bool { return strings.HasPrefix(name+".", word+".") }) {
			t.Errorf("the model speaks of %s, which is no step and no failpoint", word)
		}
	}
	if len(said) < 10 || len(program) < 30 {
		t.Errorf("%d words of the model and %d names of the program were found", len(said), len(program))
	}
}
