package failpoint

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestMain(m *testing.M) {
	if os.Getenv("FAILPOINT_CHILD") != "" {
		for range 3 {
			Hit("load.commit.before")
		}
		Step(Begin, "drain")
		Step(Done, "drain")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestTheProcessDiesWhereItWasTold(t *testing.T) {
	for _, c := range []struct{ armed, dies string }{
		{"", ""},
		{"load.commit.after", ""},
		{"load.commit.before", "load.commit.before"},
		{"load.commit.before:3", "load.commit.before"},
		{"load.commit.before:4", ""},
		{"begin:drain", "begin:drain"},
		{"done:drain", "done:drain"},
		{"done:drain,begin:drain:1", "begin:drain"},
		{"begin:drain:2", ""},
	} {
		t.Run(c.armed, func(t *testing.T) {
			child := exec.Command(os.Args[0])
			child.Env = append(os.Environ(), "FAILPOINT_CHILD=1", Variable+"="+c.armed)
			var said bytes.Buffer
			child.Stderr = &said
			err := child.Run()
			if c.dies == "" {
				if err != nil || said.Len() > 0 {
					t.Fatalf("died: %v, said %q", err, said.String())
				}
				return
			}
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("ended with %v, not by SIGKILL", err)
			}
			if said.String() != "failpoint "+c.dies+"\n" {
				t.Fatalf("said %q", said.String())
			}
		})
	}
}

func TestNamesAreThoseInTheSource(t *testing.T) {
	missing := slices.Clone(Names())
	call := regexp.MustCompile(`failpoint\.Hit\(([^)]*)\)`)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range call.FindAllStringSubmatch(string(text), -1) {
			if name := strings.Trim(m[1], `"`); !slices.Contains(Names(), name) {
				t.Errorf("%s: %s is not among Names", path, m[0])
			} else {
				missing = slices.DeleteFunc(missing, func(n string) bool { return n == name })
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(missing) > 0 {
		t.Errorf("no failpoint is called %q", missing)
	}
}

func TestAnUnarmedFailpointCostsNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { Hit("load.commit.before"); Step(Begin, "drain") }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func BenchmarkUnarmed(b *testing.B) {
	for b.Loop() {
		Hit("load.commit.before")
	}
}
