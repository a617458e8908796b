package state

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestFilesAreTheirOwnersOnly whatever the umask, and whatever they were before.
func TestFilesAreTheirOwnersOnly(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	for _, before := range []string{"nothing", "open to all"} {
		dir := filepath.Join(t.TempDir(), "deep", ".whimbrel")
		if before == "open to all" {
			if err := os.MkdirAll(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, LockFile), nil, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		s, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Set(t.Context(), "a", "b"); err != nil {
			t.Fatal(err)
		}
		if err := s.WriteFile("report.json", []byte("{}")); err != nil {
			t.Fatal(err)
		}
		f, err := OpenFile(dir, "whimbrel.log", os.O_WRONLY)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		seen := 0
		err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if want := map[bool]fs.FileMode{true: 0o700, false: 0o600}[d.IsDir()]; err == nil && info.Mode().Perm() != want {
				t.Errorf("with %s before, %s has %o", before, path, info.Mode().Perm())
			}
			seen++
			return err
		})
		if err != nil || seen < 6 { // the folder, lock, database, its two files, report, log
			t.Errorf("%d files seen, %v", seen, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLinksAreNotFollowed: whoever puts a link or a second name of a file of ours into the folder, or in its place, makes us
// write nowhere else.
func TestLinksAreNotFollowed(t *testing.T) {
	for _, name := range []string{LockFile, File, File + "-wal", File + "-shm"} {
		for how, link := range map[string]func(old, new string) error{"a link": os.Symlink, "a second name": os.Link, "a pipe": func(_, path string) error { return syscall.Mkfifo(path, 0o600) }} {
			elsewhere := filepath.Join(t.TempDir(), "precious")
			if err := os.WriteFile(elsewhere, []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := link(elsewhere, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			s, err := Open(dir)
			if err == nil {
				_ = s.Close()
				t.Errorf("%s as %s was opened", how, name)
			} else if !strings.Contains(err.Error(), "take it away") {
				t.Errorf("%s as %s: %v", how, name, err)
			}
			if text, _ := os.ReadFile(elsewhere); string(text) != "precious" {
				t.Errorf("%s as %s: the other file is %q", how, name, text)
			}
		}
	}
	there := t.TempDir()
	link := filepath.Join(t.TempDir(), "state")
	if err := os.Symlink(there, link); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(link); err == nil || !strings.Contains(err.Error(), "is a link") {
		_ = s.Close()
		t.Errorf("a link to a folder: %v", err)
	}
	if entries, _ := os.ReadDir(there); len(entries) > 0 {
		t.Errorf("the folder behind the link has %v", entries)
	}
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	elsewhere := filepath.Join(there, "precious")
	for _, name := range []string{"report.json", "report.json.new"} {
		if err := os.Symlink(elsewhere, filepath.Join(s.Dir(), name)); err != nil {
			t.Fatal(err)
		}
		if err := s.WriteFile("report.json", []byte("{}")); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(elsewhere); err == nil {
			t.Errorf("%s was followed", name)
		}
	}
}

// TestAFolderOfSomebodyElsesIsRefused. Who is not root can not make one: then the root folder is it.
func TestAFolderOfSomebodyElsesIsRefused(t *testing.T) {
	dir := "/"
	if os.Geteuid() == 0 {
		dir = t.TempDir()
		if err := os.Chown(dir, 12345, 12345); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := Open(dir); err == nil || !strings.Contains(err.Error(), "belongs to the user with number") {
		_ = s.Close()
		t.Errorf("%v", err)
	}
}
