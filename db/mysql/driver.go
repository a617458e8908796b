// Package mysql is the driver of MariaDB 10.6 and newer and of MySQL 8; Info.Product says which one the server is.
//
// It works below database/sql: text rows are read straight from the connection and go out through LOAD DATA LOCAL
// INFILE, both in the canonical cells of package row. What it makes in a database are tables of the connection's own
// database whose names begin with whimbrel_source_ or whimbrel_target_, and triggers whimbrel_<what>_<table number>.
//
// Every session speaks utf8mb4, UTC, READ COMMITTED and a strict sql_mode that allows zero dates, because a zero date
// of the source is a value like any other. A target's sessions also turn foreign keys and checks off: they are proven
// at the end instead (HAZARDS C9, 72).
package mysql

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	gosql "github.com/go-sql-driver/mysql"

	"github.com/whimbrel/whimbrel/db/driver"
)

// Driver opens MariaDB and MySQL databases.
var Driver driver.Driver = product{}

type product struct{}

// Schemes answers mariadb and mysql; either opens either product.
func (product) Schemes() []string { return []string{"mariadb", "mysql"} }

// Open connects and looks round. The URL may carry tls=off, tls=skip-verify, tls=verify (the default but on a loopback
// address or a socket, where it is off), ca=FILE, and socket=FILE.
func (product) Open(ctx context.Context, u *url.URL, o driver.Options) (*driver.Database, error) {
	cfg, err := configure(u, o)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", u.Host+u.Path, err) // what follows might be a password
	}
	d := &database{options: o, cfg: cfg, schema: cfg.DBName}
	if err := d.lookRound(ctx); err != nil {
		return nil, fmt.Errorf("open %s: %w", d.place(), err)
	}
	return d.roles()
}

// database is one open database; it plays every role but Dialect.
type database struct {
	options    driver.Options
	cfg        *gosql.Config
	schema     string
	version    version
	infile     bool  // the server takes LOAD DATA LOCAL
	packet     int64 // its max_allowed_packet
	info       driver.Info
	dialect    dialect
	work       *pool // loads, reads, applies: Options.Sessions
	control    *pool // bookkeeping, which must go on while every other session is held
	closed     atomic.Bool
	unflushing atomic.Bool // the user may not make the server flush its log
	forcing    sync.Mutex
	forced     time.Time    // when the log was flushed by DDL last
	mine       sync.Map     // the sessions that are open, by the server's numbers
	signed     atomic.Int64 // the lock that the next session asks for (inherit.go)
	walks      sync.RWMutex
	suspected  suspicion // of unread triggers (unread.go)
}

func (d *database) sessions() map[int64]bool {
	all := map[int64]bool{}
	d.mine.Range(func(id, _ any) bool { all[id.(int64)] = true; return true })
	return all
}

func configure(u *url.URL, o driver.Options) (*gosql.Config, error) {
	cfg := gosql.NewConfig()
	cfg.User = u.User.Username()
	cfg.Passwd, _ = u.User.Password()
	cfg.DBName = strings.TrimPrefix(u.Path, "/")
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(orElse(u.Hostname(), "127.0.0.1"), orElse(u.Port(), "3306"))
	if cfg.DBName == "" || strings.Contains(cfg.DBName, "/") {
		return nil, errors.New("the URL names no database: add /DATABASE after the host")
	}
	cfg.ClientFoundRows, cfg.InterpolateParams = true, true
	cfg.MaxAllowedPacket = 1 << 30
	cfg.Logger = &gosql.NopLogger{}
	cfg.ConnectionAttributes = "program_name:whimbrel,whimbrel_run:" + o.Run + ",whimbrel_side:" + string(o.Side)
	q := u.Query()
	if s := q.Get("socket"); s != "" {
		cfg.Net, cfg.Addr = "unix", s
	}
	return cfg, secure(cfg, q, u.Hostname())
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// lookRound opens the first session and fills in product, version and limits.
func (d *database) lookRound(ctx context.Context) error {
	s, err := connect(ctx, d)
	if err != nil {
		return err
	}
	defer s.end()
	facts, err := s.row(ctx, "SELECT VERSION(), @@version_comment, @@local_infile, @@global.max_allowed_packet, @@hostname, @@port, @@datadir, @@server_id, DATABASE(), @@lower_case_table_names")
	if err != nil {
		return err
	}
	d.version = parseVersion(facts[0], facts[1])
	d.infile = facts[2] == "1"
	d.packet, _ = strconv.ParseInt(facts[3], 10, 64)
	d.schema = facts[8]
	d.dialect = dialect{version: d.version, schema: d.schema}
	identity := strings.Join([]string{facts[4], facts[5], facts[6], facts[7]}, ":")
	for _, name := range []string{"server_uid", "server_uuid"} {
		if id, err := s.row(ctx, "SELECT @@"+name); err == nil {
			identity = id[0] + ":" + identity
		}
	}
	d.info = driver.Info{
		Product: d.version.product, Version: facts[0], Name: d.place(), Schema: d.schema, Server: identity,
		Limits: driver.Limits{
			Name: 64, Seconds: 6, Schemas: true, IndexPerTable: true, Value: d.packet, IndexBytes: 3072,
			Ahead: true, FoldTables: facts[9] != "0", FoldColumns: true, NarrowNames: true, PlainChecks: true, Ordered: true, Reserved: "whimbrel_target_",
			Features: d.version.features(),
		},
	}
	return nil
}

func (v version) features() driver.Features {
	f := driver.PrefixIndexes | driver.FullTextIndexes | driver.SpatialIndexes | driver.IdentityInKey | driver.TableComments |
		driver.OnUpdateNow | driver.RandomUUIDs
	if v.maria() {
		f |= driver.FreeSequences
	}
	if v.maria() || v.since(8, 0, 23) {
		f |= driver.HiddenColumns
	}
	return f
}

func (d *database) place() string {
	return orElse(d.version.product, "mariadb or mysql") + " " + d.cfg.Addr + "/" + d.cfg.DBName
}

func (d *database) roles() (*driver.Database, error) {
	var err error
	sessions := int32(d.options.Sessions)
	if sessions <= 0 {
		sessions = 4
	}
	if d.work, err = newPool(d, sessions); err != nil {
		return nil, err
	}
	if d.control, err = newPool(d, 3); err != nil {
		return nil, err
	}
	var sequences driver.SequencePlanner
	if d.version.maria() {
		sequences = d.dialect
	}
	return &driver.Database{
		Sequences: sequences, Info: d.info, Dialect: d.dialect, Inspector: d, Surveyor: d, Executor: d, Splitter: d, Reader: d, Loader: d,
		Ledger: ledger{d}, Lists: lists{d}, Applier: d, Capturer: d, Recorder: recorder{d}, Watcher: d, Gate: gate{d},
		Guard: guard{d}, Sequencer: d, Rights: rights{d}, Inherit: d.inherit, Blocked: d.blocked,
		Shadows: shadows{d}, Scripts: scripts{d}, Relics: relics{d}, Admitter: admitter{d}, Close: d.close,
	}, nil
}

// close ends the sessions that nobody uses, and cuts the others: whoever uses one has a Lost error.
func (d *database) close() error {
	d.closed.Store(true)
	d.work.empty()
	d.control.empty()
	d.mine.Range(func(_, s any) bool { s.(*session).kill(); return true })
	return nil
}

// Execute runs one planned statement.
func (d *database) Execute(ctx context.Context, st driver.Statement) error {
	return d.control.with(ctx, func(s *session) error {
		if err := s.run(ctx, st.SQL); err != nil {
			return fmt.Errorf("%s: %w", st.Purpose, err)
		}
		return nil
	})
}

// own is the full, quoted name of a table of ours.
func (d *database) own(what string) string {
	return quote(d.schema) + "." + quote("whimbrel_"+string(d.options.Side)+"_"+what)
}

// version is a server's product and number.
type version struct {
	product string
	number  [3]int
}

// parseVersion reads VERSION(): "10.11.6-MariaDB-log", "8.0.36".
func parseVersion(text, comment string) version {
	v := version{product: "mysql"}
	text = strings.TrimPrefix(text, "5.5.5-")
	if strings.Contains(strings.ToLower(text+comment), "mariadb") {
		v.product = "mariadb"
	}
	digits, _, _ := strings.Cut(text, "-")
	for i, part := range strings.SplitN(digits, ".", 3) {
		v.number[i], _ = strconv.Atoi(part)
	}
	return v
}

func (v version) maria() bool { return v.product == "mariadb" }

// since reports whether the server is MariaDB at least a.b.c.
func (v version) since(a, b, c int) bool {
	for i, n := range [3]int{a, b, c} {
		if v.number[i] != n {
			return v.number[i] > n
		}
	}
	return true
}
