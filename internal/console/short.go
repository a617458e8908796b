package console

import (
	"fmt"
	"os"
	"path/filepath"
)

// longest is the longest path that every system takes for a socket (macOS: 104 bytes with the end; Linux: 108).
const longest = 100

// short calls use with a path of the folder's socket that is short enough for a socket's address. Where the folder's own is
// too long it goes through a link that lives as long as the call.
func short(dir string, use func(path string) error) error {
	path := filepath.Join(dir, Socket)
	if len(path) <= longest {
		return use(path)
	}
	full, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	temporary := os.TempDir()
	if len(temporary) > longest/2 {
		temporary = "/tmp"
	}
	link, err := os.MkdirTemp(temporary, "whimbrel-")
	if err != nil {
		return fmt.Errorf("make a short path: %w", err)
	}
	defer os.RemoveAll(link) // the folder with the link in it; not what the link names
	if err := os.Symlink(full, filepath.Join(link, "d")); err != nil {
		return fmt.Errorf("make a short path: %w", err)
	}
	return use(filepath.Join(link, "d", Socket))
}
