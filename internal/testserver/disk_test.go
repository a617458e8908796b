package testserver_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/whimbrel/whimbrel/internal/testserver"
)

// A disk that loses its power has what was synced, and not what was only written.
func TestADiskLosesWhatWasNotSynced(t *testing.T) {
	d := testserver.NewDisk(t, 16)
	for name, sync := range map[string]bool{"synced": true, "written": false} {
		f, err := os.Create(filepath.Join(d.Path, name))
		if err == nil {
			_, err = f.WriteString("text")
		}
		if err == nil && sync {
			err = f.Sync()
		}
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
	}
	if err := d.LosePower(); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(d.Path, "synced")); err != nil || string(text) != "text" {
		t.Errorf("what was synced is %q, %v", text, err)
	}
	if text, _ := os.ReadFile(filepath.Join(d.Path, "written")); string(text) == "text" {
		t.Error("what was only written is there")
	}
}
