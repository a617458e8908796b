package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Folder makes the folder of a state where it is missing, and sees to it that nobody but us can look into it or put something
// there: one that is a link or somebody else's is refused, one of ours is closed to others. Again: the same.
func Folder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the state's folder: %w", err)
	}
	if err := Ours(dir); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("close the state's folder to others: %w", err)
	}
	return nil
}

// Ours returns nil for a folder that is nobody else's, and no link to another.
func Ours(dir string) error {
	info, err := os.Lstat(dir)
	switch {
	case err != nil:
		return fmt.Errorf("look at the state's folder: %w", err)
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a link to another folder; put the folder itself there, or take the link away", dir)
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder", dir)
	}
	if owner, known := info.Sys().(*syscall.Stat_t); known && int(owner.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to the user with number %d, not to the one that runs this (%d); run whimbrel as that user", dir, owner.Uid, os.Geteuid())
	}
	return nil
}

// OpenFile opens or makes a file of the state's folder, which nobody but its owner can read. What is no ordinary file there,
// such as a link to one that lies elsewhere, is refused and left as it is.
func OpenFile(dir, name string, flag int) (*os.File, error) {
	path := filepath.Join(dir, name)
	f, err := os.OpenFile(path, flag|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("%s is a link; take it away", path)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%s is not an ordinary file; take it away", path)
	case links(info) > 1:
		err = fmt.Errorf("%s has another name elsewhere; take it away", path)
	case info.Mode().Perm()&0o077 != 0:
		err = f.Chmod(0o600)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// WriteFile puts a file into the folder, in one piece: whoever reads it reads the old one or the new one. Again: replaces it.
func (s *State) WriteFile(name string, text []byte) error {
	path := filepath.Join(s.dir, name)
	if err := os.Remove(path + ".new"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// links is how many names a file has.
func links(info fs.FileInfo) uint64 {
	if s, known := info.Sys().(*syscall.Stat_t); known {
		return uint64(s.Nlink) //nolint:unconvert // its width differs between systems
	}
	return 1
}

// beside are the files that SQLite keeps beside a database.
var beside = []string{File + "-wal", File + "-shm", File + "-journal"}

// own makes the database's file, and refuses links in its place and beside it, before SQLite opens them.
func (s *State) own() error {
	for _, name := range append([]string{File}, beside...) {
		if _, err := os.Lstat(filepath.Join(s.dir, name)); err != nil && name != File {
			continue
		}
		f, err := OpenFile(s.dir, name, os.O_RDWR)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

// cover closes the files beside the database to others: SQLite leaves it to the umask who can read them.
func (s *State) cover() error {
	for _, name := range beside {
		if err := os.Chmod(filepath.Join(s.dir, name), 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
