// Shop is a small web shop in two releases: release 1 keeps its books in MariaDB, release 2 in PostgreSQL and in another structure.
// It is an application as Whimbrel finds it: it knows nothing of it. README.md tells how it is moved from one release to the
// other while its users go on.
//
//	shop install -release 1 -db URL         makes and fills the tables
//	shop serve   -release 1 -db URL         answers at -listen
//	shop front   -state FILE                answers at -listen, for whoever the state file points at
//	shop point   -state FILE [-to URL]      points the front at a server once it is well; without -to at none
//	shop stop    -pid FILE                  ends a server when it has answered its last request
//	shop load    -url URL -journal FILE     behaves as users do, and writes down what they were told
//	shop check   -release 1 -db URL -journal FILE   holds the books against that
//
// In a database's URL ${NAME} is filled in from the environment, escaped.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1)
	}
}

// releases are the two of them, with what belongs to each.
var releases = map[string]struct {
	version  string
	open     func(*url.URL) (Release, error)
	welcome  string            // in English
	settings map[string]string // that nobody has changed
}{
	"1": {"1.4", openRelease1, "Welcome, %s!", map[string]string{"currency": "EUR", "page size": "20", "tone": ""}},
	"2": {"2.0", openRelease2, "Good to see you, %s.", map[string]string{"currency": "EUR", "page size": "50", "tone": "friendly"}},
}

// flags are those of all commands.
type flags struct {
	release, db, listen, pid  string
	state, to, target, record string
	seed                      uint64
	size                      Size
	sessions                  int
	pause, lasts              time.Duration
}

func run(ctx context.Context, args []string) error {
	commands := map[string]func(flags, context.Context) error{
		"install": flags.install, "serve": flags.serve, "front": flags.front, "point": flags.point,
		"stop": flags.stop, "load": flags.load, "check": flags.check,
	}
	if len(args) == 0 || commands[args[0]] == nil {
		return errors.New("take one of install, serve, front, point, stop, load, check; README.md says what they do")
	}
	var f flags
	set := flag.NewFlagSet("shop "+args[0], flag.ContinueOnError)
	set.StringVar(&f.release, "release", "1", "1 or 2")
	set.StringVar(&f.db, "db", "", "the database's URL; ${NAME} comes from the environment")
	set.StringVar(&f.listen, "listen", "127.0.0.1:8080", "where to answer")
	set.StringVar(&f.pid, "pid", "", "a file that is there while the server answers")
	set.StringVar(&f.state, "state", "front.state", "the file that says where the front sends users")
	set.StringVar(&f.to, "to", "", "where the front is to send users; empty: nowhere")
	set.StringVar(&f.target, "url", "http://127.0.0.1:8080", "where the users go")
	set.StringVar(&f.record, "journal", "", "the file of what the users were told")
	set.Uint64Var(&f.seed, "seed", 1, "what the users want is decided by it")
	set.IntVar(&f.size.Articles, "articles", 200, "how many articles the shop begins with")
	set.IntVar(&f.size.Customers, "customers", 2_000, "how many customers")
	set.IntVar(&f.size.Orders, "orders", 20_000, "how many orders")
	set.IntVar(&f.sessions, "sessions", 8, "how many users there are at a time")
	set.DurationVar(&f.pause, "pause", 20*time.Millisecond, "how long a user thinks")
	set.DurationVar(&f.lasts, "for", time.Minute, "how long they stay")
	if err := set.Parse(args[1:]); err != nil {
		return err
	}
	if f.size.Articles < 1 || f.size.Customers < f.sessions || f.size.Orders < 0 || f.sessions < 1 {
		return errors.New("a shop has articles, and a customer for each session at least")
	}
	return commands[args[0]](f, ctx)
}

// open opens the database of the release that the flags name, and returns the release's version.
func (f flags) open() (Release, string, error) {
	r, known := releases[f.release]
	if !known {
		return nil, "", fmt.Errorf("there is no release %q; take 1 or 2", f.release)
	}
	u, err := address(f.db)
	if err != nil {
		return nil, "", err
	}
	opened, err := r.open(u)
	return opened, r.version, err
}

// address reads a database's URL and fills in what it names of the environment.
func address(text string) (*url.URL, error) {
	u, err := url.Parse(os.Expand(text, func(name string) string {
		return strings.ReplaceAll(url.QueryEscape(os.Getenv(name)), "+", "%20") // a plus sign is a blank in queries only
	}))
	if err != nil {
		return nil, errors.New("-db is no URL") // the error would hold the password
	}
	return u, nil
}

func (f flags) install(ctx context.Context) error {
	r, _, err := f.open()
	if err != nil {
		return err
	}
	return errors.Join(r.Install(ctx, f.size), r.Close())
}

func (f flags) serve(ctx context.Context) error {
	r, version, err := f.open()
	if err != nil {
		return err
	}
	return errors.Join(serve(ctx, f.listen, f.pid, api(r, version)), r.Close())
}

func (f flags) front(ctx context.Context) error { return serve(ctx, f.listen, f.pid, front(f.state)) }

func (f flags) point(ctx context.Context) error { return point(ctx, f.state, f.to) }

func (f flags) stop(ctx context.Context) error { return stop(ctx, f.pid) }

func (f flags) load(ctx context.Context) error {
	j, err := openJournal(f.record)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, f.lasts)
	defer cancel()
	t, err := Load{URL: f.target, Sessions: f.sessions, Pause: f.pause, Seed: f.seed, Size: f.size}.run(ctx, j)
	if err := errors.Join(err, j.file.Close()); err != nil {
		return err
	}
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "  ")
	if err := e.Encode(t); err != nil {
		return err
	}
	if len(t.Wrong) > 0 {
		return fmt.Errorf("%d answers contradict earlier ones", len(t.Wrong))
	}
	return nil
}

func (f flags) check(ctx context.Context) error {
	r, _, err := f.open()
	if err != nil {
		return err
	}
	e := evidence{release: f.release, size: f.size}
	if e.Audit, err = r.Audit(ctx); err == nil && f.record != "" {
		e.journal, err = readJournal(f.record)
	}
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	if n := e.check(os.Stdout); n > 0 {
		return fmt.Errorf("%d rules of the shop are broken", n)
	}
	return nil
}
