package move

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/internal/release"
)

func TestCommandRunsInItsFolderAndSaysWhyItFailed(t *testing.T) {
	dir := t.TempDir()
	if err := command(t.Context(), dir, `echo "$WHAT" > said`, []string{"WHAT=hello"}); err != nil {
		t.Fatal(err)
	}
	said, err := os.ReadFile(filepath.Join(dir, "said"))
	if err != nil || string(said) != "hello\n" {
		t.Fatalf("the command wrote %q, %v", said, err)
	}
	err = command(t.Context(), dir, "echo first; echo no such shop; exit 3", nil)
	if err == nil || !strings.HasSuffix(err.Error(), "exit status 3: no such shop") {
		t.Fatalf("got %v", err)
	}
}

func TestCommandDoesNotWaitForWhatItStarted(t *testing.T) {
	began := time.Now()
	if err := command(t.Context(), t.TempDir(), "sleep 20 & echo started", nil); err != nil {
		t.Fatal(err)
	}
	if spent := time.Since(began); spent > 5*time.Second {
		t.Fatalf("it waited %s for a program in the background", spent)
	}
}

func TestCommandEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := command(ctx, t.TempDir(), "sleep 20", nil); err == nil {
		t.Fatal("a command that was ended gave no error")
	}
}

// TestCommandTellsNoPassword: what a command says goes into the journal and the report, and what a page answers too.
func TestCommandTellsNoPassword(t *testing.T) {
	given := []string{addressVariable + "=postgres://builder:p%40ss%20w@127.0.0.1:5432/shop?options=-c%20x"}
	for _, line := range []string{"echo can not reach $WHIMBREL_URL; exit 1", "echo no entry with 'p@ss w'; exit 1", "echo no entry with p%40ss%20w; exit 1"} {
		err := command(t.Context(), t.TempDir(), line, given)
		if err == nil || !strings.Contains(err.Error(), "exit status 1") {
			t.Errorf("%s: %v", line, err)
		}
		_, said, _ := strings.Cut(err.Error(), "exit status 1: ")
		if strings.Contains(said, "p@ss w") || strings.Contains(said, "p%40ss") || said == "" {
			t.Errorf("%s: it says %q", line, said)
		}
	}
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	at := strings.Replace(page.URL, "http://", "http://me:secret7@", 1) + "/health?token=secret8"
	for _, words := range []string{"418", "refused"} {
		err := healthy(t.Context(), release.Health{URL: at, Within: time.Second, Every: 10 * time.Second, Place: "release.yaml:9:"}, "", nil)
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), words) {
			t.Errorf("a page that does not answer well: %v", err)
		}
		page.Close()
	}
}

// TestCommandOfAReleaseGetsNoVariableOfOurs: by the URLs of whimbrel.yaml a build would reach production.
func TestCommandOfAReleaseGetsNoVariableOfOurs(t *testing.T) {
	t.Setenv("DATABASE_URL", "postgres://app@production/shop")
	dir := t.TempDir()
	text := "source: {url: '${DATABASE_URL}'}\ntarget: {url: 'sqlite:${HOME}/x.db'}\n"
	if err := os.WriteFile(filepath.Join(dir, "whimbrel.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(filepath.Join(dir, "whimbrel.yaml"), []string{"postgres", "sqlite"}, os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	do := shell{dir: dir, line: `test -n "$HOME" && test -z "$DATABASE_URL"`, without: c.Private}
	if err := do.run(t.Context()); err != nil {
		t.Error(err)
	}
	do.without = nil
	if err := do.run(t.Context()); err == nil {
		t.Error("the test finds no variable that is there")
	}
}

// TestCommandOfAReleaseRunsOnce: what an earlier process has begun may run still, when that one is gone.
func TestCommandOfAReleaseRunsOnce(t *testing.T) {
	m := newShop(t, DowntimeOptimized().Name).open(t)
	first, err := m.claimCommand("update")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ended := filepath.Join(dir, "end")
	if err := (shell{dir: dir, line: "(while ! test -e end; do sleep 0.05; done) &", holds: first}).run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil { // as the end of our process does
		t.Fatal(err)
	}
	if _, err := m.claimCommand("update"); err == nil || !strings.Contains(err.Error(), "still running") {
		t.Errorf("a second one could begin: %v", err)
	}
	if err := os.WriteFile(ended, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; {
		again, err := m.claimCommand("update")
		if err == nil {
			_ = again.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}
