// Package postgres plays the roles of db/driver for PostgreSQL 12 and newer.
//
// It speaks to the server through pgconn, below database/sql: rows are read as the fields of the wire protocol, straight
// into a batch, and written with COPY. A session belongs to one of two pools: workers carry rows, and are as many as
// Options.Sessions says; a few more are kept for bookkeeping, so that it never waits behind an open cursor.
//
// What Whimbrel makes lies in the schema whimbrel_source or whimbrel_target, except triggers, which must lie on their
// tables and are named whimbrel_<what>_<table number>.
package postgres

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/puddle/v2"

	"github.com/whimbrel/whimbrel/db/driver"
)

// Driver opens PostgreSQL databases.
var Driver driver.Driver = opener{}

const (
	sourceSchema = "whimbrel_source"
	targetSchema = "whimbrel_target"
	oldest       = 120000 // the oldest server version that is known to work
)

type opener struct{}

// Schemes are postgres and postgresql.
func (opener) Schemes() []string { return []string{"postgres", "postgresql"} }

// Open connects and looks round. A URL without sslmode gets verify-full, unless the server is on this machine.
func (opener) Open(ctx context.Context, u *url.URL, o driver.Options) (*driver.Database, error) {
	config, err := configure(u, o)
	if err != nil {
		return nil, err
	}
	db := &database{config: config, options: o, leased: map[*session]struct{}{}}
	db.name = "postgres " + net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port))) + "/" + config.Database
	sessions := o.Sessions
	if sessions <= 0 {
		sessions = 4
	}
	if db.workers, err = db.pool(sessions); err != nil {
		return nil, err
	}
	if db.keepers, err = db.pool(3); err != nil {
		return nil, err
	}
	if err := db.look(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", db.name, err), db.close())
	}
	return db.roles(), nil
}

func configure(u *url.URL, o driver.Options) (*pgconn.Config, error) {
	address, password, words := spoken(u)
	config, err := pgconn.ParseConfig(address)
	if err != nil {
		return nil, fmt.Errorf("read the URL of %s: %s", u.Hostname(), reason(err, words))
	}
	equip(config, password)
	config.RuntimeParams["application_name"] = label(o) + " " + rand.Text()[:8]
	return config, nil
}

// secured is what a URL says beside host and account, with our word on TLS where it has none.
func secured(u *url.URL) url.Values {
	words := u.Query()
	if words.Get("sslmode") == "" && os.Getenv("PGSSLMODE") == "" && !local(cmp.Or(u.Hostname(), words.Get("host"), os.Getenv("PGHOST"))) {
		words.Set("sslmode", "verify-full")
	}
	return words
}

// spoken writes a URL for the library to read, without its password.
func spoken(u *url.URL) (address, password string, words url.Values) {
	bare := *u
	if u.User != nil {
		password, _ = u.User.Password()
		bare.User = url.User(u.User.Username())
	}
	words = secured(u)
	password = cmp.Or(words.Get("password"), password)
	words.Del("password")
	// The library takes a plus sign for itself and not for a blank.
	bare.RawQuery, bare.Scheme, bare.Fragment, bare.RawFragment = strings.ReplaceAll(words.Encode(), "+", "%20"), "postgres", "", ""
	return bare.String(), password, words
}

// equip gives a session of ours what all have: bounds on what a server may send, the least of TLS, patience.
func equip(config *pgconn.Config, password string) {
	if password != "" {
		config.Password = password
	}
	config.RuntimeParams["client_encoding"] = "UTF8"
	config.RuntimeParams["standard_conforming_strings"] = "on" // from the first statement on: else a value can not be written into one
	config.ConnectTimeout = 20 * time.Second
	config.DialFunc = driver.Dial
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		f := pgproto3.NewFrontend(bufio.NewReaderSize(r, 64<<10), w)
		f.SetMaxBodyLen(mostGreeting)
		return f
	}
	hardened(config.TLSConfig)
	for _, other := range config.Fallbacks {
		hardened(other.TLSConfig)
	}
	if exposed(config) != "" && config.RequireAuth == "" {
		config.RequireAuth = "!password" // which would be sent as it is
	}
}

// label begins the application_name of every session; behind it stands a word of this process's own.
func label(o driver.Options) string { return "whimbrel " + string(o.Side) + " " + o.Run }

// inherit ends the sessions of this run and side that are not this process's. A server does not notice by itself that a client is
// gone whose session waits for a lock: each process that was killed there would leave one behind.
func (db *database) inherit(ctx context.Context) error {
	l, err := db.keeper(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	const others = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pg_has_role(usesysid, 'USAGE')
		AND left(application_name, length($1)) = $1 AND application_name <> current_setting('application_name')`
	if _, err := l.query(ctx, others, label(db.options)+" "); err != nil {
		return fmt.Errorf("end the sessions that an earlier process has left: %w", err)
	}
	return nil
}

// database plays every role; each has its own file.
type database struct {
	config  *pgconn.Config
	options driver.Options
	name    string
	workers *puddle.Pool[*session]
	keepers *puddle.Pool[*session]

	version  int    // server_version_num
	release  string // server_version
	home     string // where unqualified names live
	behind   behind
	server   string
	encoding string
	silent   bool // our sessions may set session_replication_role

	refused atomic.Int64 // when a session could not be made last, in ns since 1970

	closing sync.Mutex
	closed  bool
	leased  map[*session]struct{} // sessions that somebody holds
}

// look finds out what Info says.
func (db *database) look(ctx context.Context) error {
	l, err := db.keeper(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	const facts = `SELECT current_setting('server_version_num'), current_setting('server_version'),
		current_setting('server_encoding'),
		(SELECT oid FROM pg_database WHERE datname = current_database()) || '/' || current_database()`
	r, err := l.query(ctx, facts)
	if err != nil {
		return err
	}
	values := r.Rows[0]
	db.version, _ = strconv.Atoi(string(values[0]))
	db.release, db.encoding = string(values[1]), string(values[2])
	if db.version < oldest {
		return fmt.Errorf("the server is PostgreSQL %s; 12 is the oldest that is known to work", db.release)
	}
	db.server = string(values[3])
	const identity = `SELECT (SELECT system_identifier FROM pg_control_system()) || '/' || (SELECT timeline_id FROM pg_control_checkpoint())`
	if r, err := l.query(ctx, identity); err == nil {
		db.server = string(r.Rows[0][0]) + "/" + db.server
	} else if classify(err) != driver.Refused {
		return err
	}
	db.home, db.silent = l.home, l.silent
	return db.lookBehind(ctx, l.session)
}

func (db *database) roles() *driver.Database {
	d := dialect{home: db.home, version: db.version}
	return &driver.Database{
		Info: driver.Info{
			Product: "postgres", Version: db.release, Name: db.name, Schema: db.home, Server: db.server,
			Limits: driver.Limits{
				Name: 63, NameBytes: true, Seconds: 6, Schemas: true, TransactDDL: true, Value: 500 << 20,
				IndexBytes: 2704, Ahead: db.version >= 140000, Reserved: "pg_", Features: features,
			},
		},
		Dialect: d, Inspector: db, Surveyor: db, Executor: db, Splitter: db, Reader: db, Loader: db, Pipe: db,
		Ledger: db.ledger(), Lists: lists{db}, Applier: db, Stager: db, Capturer: capturer{db}, Recorder: recorder{db, &marks{at: map[mark]uint32{}}},
		Watcher: watcher{db}, Gate: gate{db}, Guard: guard{db}, Admitter: guard{db}, Sequencer: sequencer{db}, Sequences: d, Many: many{db}, Rights: rights{db},
		Shadows: shadows{db}, Scripts: scripts{db}, Relics: relics{db}, Inherit: db.inherit, Vacate: db.vacate, Blocked: db.blocked, Close: db.close,
	}
}

const features = driver.PartialIndexes | driver.PrefixIndexes | driver.IncludeColumns | driver.NullsEqualKeys |
	driver.DeferrableKeys | driver.DeferrableForeign | driver.MatchFullForeign | driver.SetDefaultForeign |
	driver.IdentityAlways | driver.IdentitySteps | driver.IdentityAnywhere | driver.TableComments | driver.RandomUUIDs |
	driver.FreeSequences

// close ends every session, those that somebody still holds too: their next call fails. Again: does nothing.
func (db *database) close() error {
	db.closing.Lock()
	if db.closed {
		db.closing.Unlock()
		return nil
	}
	db.closed = true
	held := slices.Collect(maps.Keys(db.leased))
	db.closing.Unlock()
	for _, s := range held {
		_ = s.conn.Conn().Close()
	}
	for _, p := range []*puddle.Pool[*session]{db.workers, db.keepers} {
		if p == nil {
			continue
		}
		for _, idle := range p.AcquireAllIdle() {
			idle.Destroy()
		}
	}
	return nil
}

// Execute runs one statement of the dialect.
func (db *database) Execute(ctx context.Context, s driver.Statement) error {
	l, err := db.worker(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	if err := l.exec(ctx, s.SQL); err != nil {
		return fmt.Errorf("%s: %w", s.Purpose, err)
	}
	return nil
}
