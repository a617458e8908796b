package move

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
