package state

import (
	"path/filepath"
	"testing"

	"github.com/whimbrel/whimbrel/internal/procedure"
	"github.com/whimbrel/whimbrel/internal/testserver"
)

// A state that is new, each entry of its journal, and each document that was kept outlive the power; a document that was noted does from the
// next entry on, and until then may be gone.
func TestWhatIsKeptOutlivesThePower(t *testing.T) {
	d := testserver.NewDisk(t, 32)
	dir := filepath.Join(d.Path, "state")
	out := func(s *State) *State {
		t.Helper()
		if err := d.LosePower(); err != nil {
			t.Fatal(err)
		}
		_ = s.Close() // of the disk that is no more
		return open(t, dir)
	}
	has := func(s *State, key string) bool {
		t.Helper()
		var v int
		there, err := s.Document(t.Context(), key, &v)
		if err != nil {
			t.Fatal(err)
		}
		return there
	}
	append1 := func(s *State) {
		t.Helper()
		if _, err := s.Append(t.Context(), procedure.Entry{Step: "a", Event: procedure.Started}); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir)
	append1(s)
	s = out(s)
	if entries, err := s.Entries(t.Context()); err != nil || len(entries) != 1 {
		t.Fatalf("%d entries of a new state are there, %v", len(entries), err)
	}
	if err := s.SetDocument(t.Context(), "kept", 1); err != nil {
		t.Fatal(err)
	}
	if s = out(s); !has(s, "kept") {
		t.Error("a document that was kept is gone")
	}
	if err := s.NoteDocument(t.Context(), "noted", 1); err != nil {
		t.Fatal(err)
	}
	if s = out(s); has(s, "noted") {
		t.Error("a document that was noted is there at once: noting saves nothing, or nothing is lost here with the power")
	}
	if err := s.NoteDocument(t.Context(), "noted", 1); err != nil {
		t.Fatal(err)
	}
	append1(s)
	if s = out(s); !has(s, "noted") {
		t.Error("a document that was noted is gone, and the entry behind it is there")
	}
}
