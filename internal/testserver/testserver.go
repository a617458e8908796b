// Package testserver starts private database servers for tests: PostgreSQL and MariaDB on free loopback ports, in a short
// temporary folder, as an unprivileged user where the tests run as root. One server of a product serves a whole test
// binary; each test gets databases of its own. A server whose program is missing fails the test with the command that
// installs it: nothing is skipped.
package testserver

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Main runs a test binary's tests and then stops the servers they started: call it from TestMain.
func Main(m *testing.M) {
	code := m.Run()
	StopAll()
	os.Exit(code)
}

// StopAll kills every server this process started and removes their folders. Again: does nothing.
func StopAll() {
	mu.Lock()
	defer mu.Unlock()
	for _, s := range running {
		s.stop()
	}
	running = nil
}

// Password is that of every user of every server: a word that stands nowhere else, so that a test can look for it in
// what must not hold it.
const Password = "canary7f3a9"

// Server is one private server.
type Server struct {
	Product string
	Port    int
	Dir     string
	start   func(s *Server) *exec.Cmd
	ready   func(s *Server) error
	place   Place
	cmd     *exec.Cmd
	ended   chan struct{}
}

// Place is where a server's folder is made, and what is in the environment of its processes; the zero Place is /tmp, and nothing
// beside the tests' own.
type Place struct {
	Parent      string
	Environment []string
}

// Settings are extra lines for a server's configuration: "name = value" each.
type Settings []string

var (
	mu      sync.Mutex
	running []*Server
	shared  = map[string]*Server{}
	number  atomic.Int64
)

// Postgres returns the URL of a new, empty database on this binary's PostgreSQL server. The user is a superuser.
func Postgres(t testing.TB) string {
	t.Helper()
	s := one(t, "postgres", newPostgres)
	name := fresh()
	s.psql(t, "postgres", "CREATE DATABASE "+name)
	return s.URL(name)
}

// MariaDB returns the URL of a new, empty database on this binary's MariaDB server. The user has all rights.
func MariaDB(t testing.TB) string {
	t.Helper()
	s := one(t, "mariadb", newMariaDB)
	name := fresh()
	s.mariadb(t, "CREATE DATABASE "+name+" CHARACTER SET utf8mb4")
	return s.URL(name)
}

// SQLite returns the URL of a file that does not exist yet, in the test's temporary folder.
func SQLite(t testing.TB) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), fresh()+".db")
}

// New starts a server of its own for one test, which may kill it; product is postgres or mariadb.
func New(t testing.TB, product string, settings ...string) *Server {
	t.Helper()
	return NewAt(t, product, Place{}, settings...)
}

// NewAt is New for a server in a place of its own.
func NewAt(t testing.TB, product string, place Place, settings ...string) *Server {
	t.Helper()
	mu.Lock()
	defer mu.Unlock()
	s, err := map[string]func(Place, Settings) (*Server, error){"postgres": newPostgres, "mariadb": newMariaDB}[product](place, settings)
	if err != nil {
		t.Fatal(err)
	}
	running = append(running, s)
	t.Cleanup(s.stop)
	return s
}

// URL returns the URL of a database of the server.
func (s *Server) URL(database string) string {
	if s.Product == "postgres" {
		return fmt.Sprintf("postgres://whimbrel:%s@127.0.0.1:%d/%s?sslmode=disable", Password, s.Port, database)
	}
	return fmt.Sprintf("mariadb://whimbrel:%s@127.0.0.1:%d/%s", Password, s.Port, database)
}

// Create makes an empty database and returns its URL.
func (s *Server) Create(t testing.TB, name string) string {
	t.Helper()
	if s.Product == "postgres" {
		s.psql(t, "postgres", "CREATE DATABASE "+name)
	} else {
		s.mariadb(t, "CREATE DATABASE "+name+" CHARACTER SET utf8mb4")
	}
	return s.URL(name)
}

// Start starts a killed server on its own port and returns when it answers.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
}

// Drop takes a database away, with whoever is in it. Again: does nothing.
func (s *Server) Drop(t testing.TB, name string) {
	t.Helper()
	if s.Product == "postgres" {
		s.psql(t, "postgres", "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	} else {
		s.mariadb(t, "DROP DATABASE IF EXISTS "+name)
	}
}

func (s *Server) stop() {
	s.Kill()
	_ = os.RemoveAll(s.Dir)
}

func one(t testing.TB, product string, start func(Place, Settings) (*Server, error)) *Server {
	t.Helper()
	mu.Lock()
	defer mu.Unlock()
	if s := shared[product]; s != nil {
		return s
	}
	s, err := start(Place{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	shared[product], running = s, append(running, s)
	return s
}

func fresh() string { return fmt.Sprintf("t%d_%d", os.Getpid(), number.Add(1)) }

func newPostgres(place Place, settings Settings) (*Server, error) {
	bin, err := find("postgres", "/usr/lib/postgresql/*/bin", "apt-get install postgresql")
	if err != nil {
		return nil, err
	}
	s, err := newServer("postgres", place)
	if err != nil {
		return nil, err
	}
	data, pw := filepath.Join(s.Dir, "data"), filepath.Join(s.Dir, "pw")
	if err := os.WriteFile(pw, []byte(Password+"\n"), 0o644); err != nil {
		return nil, err
	}
	initdb := as(filepath.Join(filepath.Dir(bin), "initdb"), "-D", data, "-U", "whimbrel", "--pwfile="+pw,
		"-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	args := []string{
		"-D", data, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=" + s.Dir,
		"-c", "max_connections=200", "-c", "max_prepared_transactions=20", "-c", "jit=off",
	}
	for _, line := range settings {
		args = append(args, "-c", line)
	}
	s.start = func(s *Server) *exec.Cmd { return as(bin, append(args, "-p", strconv.Itoa(s.Port))...) }
	s.ready = func(s *Server) error {
		cmd := exec.Command("psql", "-Xqt", s.URL("postgres"), "-c", "select 1")
		return cmd.Run()
	}
	return s, s.run()
}

func newMariaDB(place Place, settings Settings) (*Server, error) {
	bin, err := find("mariadbd", "/usr/sbin", "apt-get install mariadb-server")
	if err != nil {
		return nil, err
	}
	s, err := newServer("mariadb", place)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(s.Dir, "data")
	// A server that starts clears its folder for temporary files, another one's files included, those of an installation too.
	temporary := filepath.Join(s.Dir, "t")
	if err := os.Mkdir(temporary, 0o777); err != nil {
		return nil, err
	}
	if err := os.Chmod(temporary, 0o777); err != nil {
		return nil, err
	}
	install := exec.Command("mariadb-install-db", "--no-defaults", "--datadir="+data, "--tmpdir="+temporary, "--user="+account(),
		"--auth-root-authentication-method=normal", "--skip-test-db")
	if out, err := install.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("mariadb-install-db: %w\n%s", err, out)
	}
	socket := filepath.Join(s.Dir, "s")
	args := []string{
		"--no-defaults", "--datadir=" + data, "--tmpdir=" + temporary, "--socket=" + socket, "--bind-address=127.0.0.1",
		"--pid-file=" + filepath.Join(s.Dir, "pid"), "--character-set-server=utf8mb4", "--local-infile=1",
		"--max-allowed-packet=256M", "--max-connections=200", "--innodb-buffer-pool-size=256M", "--skip-name-resolve",
		"--log-bin=" + filepath.Join(data, "binlog"), "--binlog-format=ROW", "--sync-binlog=1", "--server-id=1",
	}
	for _, line := range settings {
		args = append(args, "--"+line)
	}
	if os.Geteuid() == 0 {
		args = append(args, "--user="+account())
	}
	s.start = func(s *Server) *exec.Cmd { return exec.Command(bin, append(args, "--port="+strconv.Itoa(s.Port))...) }
	s.ready = func(s *Server) error {
		return exec.Command("mariadb", "--no-defaults", "-S", socket, "-uroot", "-e", "select 1").Run()
	}
	if err := s.run(); err != nil {
		return nil, err
	}
	const grant = "CREATE USER IF NOT EXISTS whimbrel@'127.0.0.1' IDENTIFIED BY '" + Password + "'; GRANT ALL ON *.* TO whimbrel@'127.0.0.1' WITH GRANT OPTION;"
	if out, err := exec.Command("mariadb", "--no-defaults", "-S", socket, "-uroot", "-e", grant).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("grant: %w\n%s", err, out)
	}
	return s, nil
}

func newServer(product string, place Place) (*Server, error) {
	parent := place.Parent
	if parent == "" {
		parent = "/tmp"
	}
	dir, err := os.MkdirTemp(parent, "wb")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 {
		id, err := owner()
		if err != nil {
			return nil, err
		}
		if err := os.Chown(dir, id.uid, id.gid); err != nil {
			return nil, err
		}
	}
	port, err := freePort()
	return &Server{Product: product, Dir: dir, Port: port, place: place}, err
}

func (s *Server) run() error {
	s.cmd, s.ended = s.start(s), make(chan struct{})
	if len(s.place.Environment) > 0 {
		if s.cmd.Env == nil {
			s.cmd.Env = os.Environ()
		}
		s.cmd.Env = append(s.cmd.Env, s.place.Environment...)
	}
	if s.cmd.SysProcAttr == nil {
		s.cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	s.cmd.SysProcAttr.Setpgid = true
	s.cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	log, err := os.OpenFile(filepath.Join(s.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	cmd, ended := s.cmd, s.ended
	go func() { _ = cmd.Wait(); close(ended) }()
	for limit := time.Now().Add(60 * time.Second); time.Now().Before(limit); {
		if s.ready(s) == nil {
			return nil
		}
		select {
		case <-ended:
			text, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
			return fmt.Errorf("%s ended while starting:\n%s", s.Product, text)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return errors.New(s.Product + " did not answer within a minute")
}

func (s *Server) psql(t testing.TB, database, sql string) {
	t.Helper()
	if out, err := exec.Command("psql", "-Xq", "-v", "ON_ERROR_STOP=1", s.URL(database), "-c", sql).CombinedOutput(); err != nil {
		t.Fatalf("psql: %v\n%s", err, out)
	}
}

func (s *Server) mariadb(t testing.TB, sql string) {
	t.Helper()
	cmd := exec.Command("mariadb", "--no-defaults", "-h127.0.0.1", "-P"+strconv.Itoa(s.Port), "-uwhimbrel", "-e", sql)
	cmd.Env = append(os.Environ(), "MYSQL_PWD="+Password)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mariadb: %v\n%s", err, out)
	}
}

func find(program, folders, install string) (string, error) {
	if all, _ := filepath.Glob(filepath.Join(folders, program)); len(all) > 0 {
		return all[len(all)-1], nil
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("%s is not installed; run: %s", program, install)
	}
	return path, nil
}

type ids struct{ uid, gid int }

// account is the unprivileged user that servers run as; the tests' own where they do not run as root.
func account() string {
	if os.Geteuid() != 0 {
		if u, err := user.Current(); err == nil {
			return u.Username
		}
	}
	return "nobody"
}

func owner() (ids, error) {
	u, err := user.Lookup(account())
	if err != nil {
		return ids{}, err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return ids{}, err
	}
	gid, err := strconv.Atoi(u.Gid)
	return ids{uid, gid}, err
}

// as makes a command that runs as the unprivileged user.
func as(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Dir = "/tmp"
	if os.Geteuid() != 0 {
		return cmd
	}
	id, err := owner()
	if err != nil {
		return cmd
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(id.uid), Gid: uint32(id.gid)}}
	cmd.Env = append(os.Environ(), "HOME=/tmp")
	return cmd
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(port))
}
