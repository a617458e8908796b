package testserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// Disk is a file system of its own that can lose its power: what nobody has had written to it by then is gone, as on a machine whose
// memory is lost. It is an ext4 in a file: what an fsync or the system's own housekeeping has not sent to it is in the memory of the
// mounted file system only, and not in a copy of that file.
type Disk struct {
	Path  string // where it is mounted; the same after LosePower
	image string
	lost  int
}

// NewDisk makes one of that many MiB, which may be written by everybody. It needs the right to mount.
func NewDisk(t testing.TB, mebibytes int) *Disk {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "wbp")
	if err != nil {
		t.Fatal(err)
	}
	d := &Disk{Path: filepath.Join(dir, "d"), image: filepath.Join(dir, "image")}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(d.Path, 0o777); err != nil {
		t.Fatal(err)
	}
	err = tool("truncate", "-s", strconv.Itoa(mebibytes)+"M", d.image)
	if err == nil {
		err = tool("mkfs.ext4", "-q", "-F", d.image)
	}
	if err == nil {
		err = d.mount()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(d.Path, syscall.MNT_DETACH) })
	if err := os.Chmod(d.Path, 0o777); err != nil {
		t.Fatal(err)
	}
	d.Sync(t)
	return d
}

// Sync has everything written that is not on it yet.
func (d *Disk) Sync(t testing.TB) {
	t.Helper()
	if err := tool("sync", "-f", d.Path); err != nil {
		t.Fatal(err)
	}
}

// mount has the file system write by itself as seldom as it can.
func (d *Disk) mount() error { return tool("mount", "-o", "loop,commit=600", d.image, d.Path) }

// LosePower puts what was on the disk at this moment in its place. Files that somebody has open go on being the old ones, which nobody
// else sees: kill whoever writes before.
func (d *Disk) LosePower() error {
	d.lost++
	left := filepath.Join(filepath.Dir(d.Path), "image"+strconv.Itoa(d.lost))
	err := tool("cp", "--sparse=always", d.image, left)
	if err == nil {
		err = errors.Join(syscall.Unmount(d.Path, syscall.MNT_DETACH), os.Remove(d.image))
	}
	if err != nil {
		return err
	}
	d.image = left
	return d.mount()
}

func tool(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s(a disk of its own needs root, mount and e2fsprogs)", name, err, out)
	}
	return nil
}
