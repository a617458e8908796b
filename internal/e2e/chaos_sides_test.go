package e2e

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/internal/faultproxy"
	"github.com/whimbrel/whimbrel/internal/testserver"
)

// side is one side of the moves of a chaos run: a server that is killed and started again, on a disk that can be filled, with a
// clock that can be turned; or, for SQLite, the disk alone.
type side struct {
	name   string // source, target
	server *testserver.Server
	disk   *disk
	clock  string     // the file that the server's clock is read from; empty when it can not be turned
	mu     sync.Mutex // held while something is being done to the server
}

// nature is what a server's machine is like.
type nature struct {
	dark bool // its disk can lose its power
	lazy bool // it acknowledges what is not on the disk yet
}

// most is how many sessions a server of a chaos run allows.
const most = 60

// newSide starts a side's server. Its disk is in memory, so that it can be small and is the test's own, or one that can lose its power.
func newSide(t *testing.T, name, product string, is nature) *side {
	t.Helper()
	s := &side{name: name}
	if product == "sqlite" {
		s.disk = newDisk(t, 900)
		return s
	}
	s.disk = is.disk(t, 900)
	place := testserver.Place{Parent: s.disk.path}
	if library := faketime(product); library != "" {
		dir, err := os.MkdirTemp("/tmp", "wbc")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		if err := os.Chmod(dir, 0o755); err != nil { // the server's user reads it
			t.Fatal(err)
		}
		s.clock = filepath.Join(dir, "clock")
		s.turn(t, "+0")
		place.Environment = []string{
			"LD_PRELOAD=" + library, "FAKETIME_TIMESTAMP_FILE=" + s.clock, "FAKETIME_CACHE_DURATION=" + strconv.Itoa(int(clockSeen.Seconds())), "FAKETIME_DONT_FAKE_MONOTONIC=1",
		}
	}
	settings := []string{fmt.Sprintf("max_connections=%d", most), "max_wal_size=128MB", "shared_buffers=32MB"}
	if product == "mariadb" {
		settings = []string{fmt.Sprintf("max-connections=%d", most), "innodb-buffer-pool-size=64M", "innodb-log-file-size=32M"}
	}
	if is.lazy {
		settings = append(settings, map[string][]string{
			"postgres": {"synchronous_commit=off", "wal_writer_delay=3s", "wal_writer_flush_after=0"},
			"mariadb":  {"sync-binlog=0"}, // the later of two settings holds; what InnoDB has not flushed is waited for by each batch, up to a second
		}[product]...)
	}
	s.server = testserver.NewAt(t, product, place, settings...)
	if power := s.disk.power; power != nil {
		power.Sync(t) // whoever installs a server does not wait for it
	}
	return s
}

// clockSeen is after how long every session of a server has seen that its clock was turned.
const clockSeen = time.Second

// faketime is the library that turns a server's clock, where Debian's package of it is installed.
func faketime(product string) string {
	name := "libfaketime.so.1"
	if product == "mariadb" { // one process of many threads
		name = "libfaketimeMT.so.1"
	}
	found, _ := filepath.Glob("/usr/lib/*/faketime/" + name)
	if len(found) == 0 {
		return ""
	}
	return found[0]
}

// turn sets the server's clock: an offset from ours.
func (s *side) turn(t *testing.T, offset string) {
	t.Helper()
	next := s.clock + ".next"
	err := errors.Join(os.WriteFile(next, []byte(offset+"\n"), 0o644), os.Rename(next, s.clock))
	if err != nil {
		t.Fatal(err)
	}
}

// crash kills the server and starts it again, where its disk can lose its power with what was on it by then.
func (s *side) crash(t *testing.T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server.Crash()
	var err error
	if power := s.disk.power; power != nil {
		err = power.LosePower()
	}
	if err := errors.Join(err, s.server.Restart()); err != nil {
		t.Error(err)
	}
}

// fill fills the disk, waits, and gives the space back; a server that did not survive it is started again.
func (s *side) fill(t *testing.T, wait func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disk.fill(t)
	wait()
	s.disk.free(t)
	if s.server != nil {
		if err := s.server.Restart(); err != nil {
			t.Error(err)
		}
	}
}

// database makes a fresh database and returns its URL, with how it is taken away again.
func (s *side) database(t *testing.T, name string) (string, func()) {
	t.Helper()
	if s.server == nil {
		file := filepath.Join(s.disk.path, name+".db")
		return "sqlite:" + file, func() {
			for _, end := range []string{"", "-wal", "-shm"} {
				_ = os.Remove(file + end)
			}
		}
	}
	return s.server.Create(t, name), func() { s.server.Drop(t, name) }
}

// through puts a proxy in front of a database and returns the URL that leads through it; nil for a file.
func (s *side) through(t *testing.T, at string, socket bool) (string, *faultproxy.Proxy) {
	t.Helper()
	if s.server == nil {
		return at, nil
	}
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	protocol, listen, dir := faultproxy.Postgres, "127.0.0.1:0", ""
	if s.server.Product == "mariadb" {
		protocol = faultproxy.MySQL
	}
	if socket {
		if dir, err = os.MkdirTemp("/tmp", "wbs"); err != nil { // a socket's path must be short
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		listen = filepath.Join(dir, ".s.PGSQL.5432")
	}
	p, err := faultproxy.Listen(listen, u.Host, protocol)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	switch {
	case !socket:
		return strings.Replace(at, u.Host, p.Addr(), 1), p
	case protocol == faultproxy.MySQL:
		return strings.Replace(at, u.Host, "localhost", 1) + "?socket=" + listen, p
	}
	return strings.Replace(at, "@"+u.Host, "@", 1) + "&port=5432&host=" + url.QueryEscape(dir), p
}

// disk is a file system of its own, small and in memory, or one that can lose its power.
type disk struct {
	path  string
	power *testserver.Disk // nil for one in memory
}

// disk makes one of that many MiB for a machine.
func (n nature) disk(t *testing.T, mebibytes int) *disk {
	t.Helper()
	if !n.dark {
		return newDisk(t, mebibytes)
	}
	power := testserver.NewDisk(t, mebibytes)
	return &disk{power.Path, power}
}

// newDisk mounts one of that many MiB. Where mounts are refused the disk is a plain folder, which can not be filled.
func newDisk(t *testing.T, mebibytes int) *disk {
	t.Helper()
	path, err := os.MkdirTemp("/tmp", "wbd")
	if err != nil {
		t.Fatal(err)
	}
	d := &disk{path: path}
	t.Cleanup(func() { _ = os.RemoveAll(path) })
	if err := syscall.Mount("whimbrel", path, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=0777", mebibytes)); err != nil {
		t.Logf("a disk can not be filled here: mount: %v", err)
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
		return &disk{path: path}
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(path, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return d
}

// own reports whether the disk is a file system of its own that can be filled. One that can lose its power has the room of what was deleted
// again only when that is on it.
func (d *disk) own() bool {
	if d.power != nil {
		return false
	}
	var here, above syscall.Stat_t
	return syscall.Stat(d.path, &here) == nil && syscall.Stat(filepath.Dir(d.path), &above) == nil && here.Dev != above.Dev
}

func (d *disk) filler() string { return filepath.Join(d.path, "filler") }

// fill leaves no byte.
func (d *disk) fill(t *testing.T) {
	f, err := os.OpenFile(d.filler(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		if !errors.Is(err, syscall.ENOSPC) {
			t.Error(err)
		}
		return
	}
	defer f.Close()
	for size := 4 << 20; size > 0; {
		if n, err := f.Write(make([]byte, size)); err != nil || n < size {
			size /= 4
		}
	}
}

// free takes away what fill has written. Again: does nothing.
func (d *disk) free(t *testing.T) {
	if err := os.Remove(d.filler()); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
