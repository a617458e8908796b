package whimbrel_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
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
