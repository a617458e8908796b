package mysql

import (
	"context"
	sqldriver "database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	gosql "github.com/go-sql-driver/mysql"
	"github.com/jackc/puddle/v2"

	"github.com/whimbrel/whimbrel/db/driver"
)

// connection is what the client library's connections can do that a session needs.
type connection interface {
	sqldriver.Conn
	sqldriver.ExecerContext
	sqldriver.QueryerContext
	sqldriver.Validator
}

// session is one connection with our settings. It is not safe for concurrent use, but for kill.
type session struct {
	conn   connection
	wire   *wire             // the same, below the library
	id     int64             // the server's number for it
	open   bool              // a transaction is open
	stages map[string]string // temporary tables made, with what they were made from
	used   time.Time
	cut    atomic.Bool
	closed func() // strikes it off the database's list of its sessions
}

// connect opens a session and reads back what must not be otherwise.
func connect(ctx context.Context, d *database) (*session, error) {
	s := &session{stages: map[string]string{}, used: time.Now()}
	cfg := d.cfg.Clone()
	cfg.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := driver.Dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		s.wire = newWire(c)
		return listener{c, s.wire}, nil
	}
	connector, err := gosql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	conn, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	s.conn = conn.(connection)
	if cfg.TLS != nil {
		err = s.wire.secure(conn)
	}
	if err == nil {
		err = s.settle(ctx, d)
	}
	if err != nil {
		s.kill()
		_ = s.conn.Close()
		return nil, err
	}
	d.mine.Store(s.id, s)
	s.closed = func() { d.mine.Delete(s.id) }
	return s, nil
}

// settle makes the session's settings and reads the isolation level back (HAZARDS 31, 32).
func (s *session) settle(ctx context.Context, d *database) error {
	facts, err := s.row(ctx, "SELECT CONNECTION_ID(), VERSION(), @@version_comment")
	if err != nil {
		return err
	}
	s.id, _ = strconv.ParseInt(facts[0], 10, 64)
	v := parseVersion(facts[1], facts[2])
	if v.maria() && !v.since(10, 6, 0) || !v.maria() && !v.since(8, 0, 16) {
		return fmt.Errorf("%s %s is too old: MariaDB 10.6 or MySQL 8.0.16 is needed", v.product, facts[1])
	}
	isolation := "transaction_isolation"
	if v.maria() {
		isolation = "tx_isolation"
	}
	for _, set := range settings(v, d.options) {
		if err := s.run(ctx, "SET "+set); err != nil {
			return err
		}
	}
	for _, set := range wishes(v) {
		if err := s.run(ctx, "SET "+set); err != nil && s.gone() {
			return err
		}
	}
	if err := s.sign(ctx, d); err != nil {
		return err
	}
	level, err := s.row(ctx, "SELECT @@SESSION."+isolation+", @@SESSION.time_zone")
	if err == nil && (level[0] != "READ-COMMITTED" || level[1] != "+00:00") {
		err = fmt.Errorf("the session is %s at %s, not READ-COMMITTED at +00:00", level[0], level[1])
	}
	return err
}

// settings are those without which a session is not used. Sessions that are silent for ten minutes end, in the middle
// of LOAD DATA too, so that a frozen process can not hold its locks for ever (HAZARDS C3).
func settings(v version, o driver.Options) []string {
	isolation, lock, row := "transaction_isolation", "2", "5"
	if v.maria() {
		isolation = "tx_isolation"
	}
	if o.Side == driver.Target {
		lock, row = "60", "50"
	}
	all := []string{
		"character_set_client=utf8mb4, character_set_results=utf8mb4, character_set_connection=utf8mb4",
		isolation + "='READ-COMMITTED', time_zone='+00:00', sql_mode='STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION'",
		"lock_wait_timeout=" + lock + ", innodb_lock_wait_timeout=" + row,
		"wait_timeout=600, net_write_timeout=3600, net_read_timeout=600, autocommit=1",
		"group_concat_max_len=16777216",
		"sql_auto_is_null=0, unique_checks=1, sql_notes=1",
	}
	if o.Side == driver.Target {
		all = append(all, "foreign_key_checks=0")
		if v.maria() {
			all = append(all, "check_constraint_checks=0")
		}
	}
	return append(all, "@whimbrel_run="+hexText(o.Run+" "))
}

// hexText is a text as a literal that needs no quotes; it must not be empty.
func hexText(s string) string { return "_utf8mb4 x'" + hex.EncodeToString([]byte(s)) + "'" }

// wishes are settings that not every version has, or lets a session have, and that are wanted where they can be had.
func wishes(v version) []string {
	if v.maria() {
		return []string{
			"explicit_defaults_for_timestamp=1", "in_predicate_conversion_threshold=0",
			"optimizer_max_sel_arg_weight=0", "wsrep_sync_wait=1", "max_statement_time=0",
		}
	}
	return []string{
		"explicit_defaults_for_timestamp=1", "range_optimizer_max_mem_size=0", "information_schema_stats_expiry=0",
		"max_execution_time=0", "show_create_table_skip_secondary_engine=1",
	}
}

// run executes a statement and throws its result away.
func (s *session) run(ctx context.Context, sql string, args ...sqldriver.Value) error {
	_, err := s.exec(ctx, sql, args...)
	return err
}

// exec executes a statement and returns the rows it found, changed or not.
func (s *session) exec(ctx context.Context, sql string, args ...sqldriver.Value) (int64, error) {
	s.used = time.Now()
	r, err := s.conn.ExecContext(ctx, sql, bind(args))
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// query begins a query whose rows come over the wire. They must be read to their end before the session is used otherwise.
func (s *session) query(ctx context.Context, sql string, columns int) error {
	return s.command(ctx, func() error { return s.wire.query(sql, columns) })
}

// command begins something below the client library. What the server itself refuses leaves the session as it was.
func (s *session) command(ctx context.Context, begin func() error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s.gone() {
		return sqldriver.ErrBadConn
	}
	s.used = time.Now()
	unwatch := s.watch(ctx)
	err := begin()
	if !unwatch() || ctx.Err() != nil {
		s.kill()
		return context.Cause(ctx)
	}
	if err != nil && (number(err) == 0 || errors.Is(err, gosql.ErrPktSync)) {
		s.kill()
	}
	return err
}

func bind(args []sqldriver.Value) []sqldriver.NamedValue {
	if len(args) == 0 {
		return nil
	}
	named := make([]sqldriver.NamedValue, len(args))
	for i, a := range args {
		named[i] = sqldriver.NamedValue{Ordinal: i + 1, Value: a}
	}
	return named
}

// row returns the only row of a catalog query as text, NULL as an empty string.
func (s *session) row(ctx context.Context, sql string, args ...sqldriver.Value) ([]string, error) {
	all, err := s.rows(ctx, sql, args...)
	if err == nil && len(all) != 1 {
		err = fmt.Errorf("%w, and one was expected: %d", errRows, len(all))
	}
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

var errRows = errors.New("number of rows")

// rows returns the rows of a catalog query as text, NULL as an empty string.
func (s *session) rows(ctx context.Context, sql string, args ...sqldriver.Value) ([][]string, error) {
	_, all, err := s.table(ctx, sql, args...)
	return all, err
}

// table is rows with the columns' names in lower case. A catalog query leaves a table out while somebody alters it, and only warns: such a
// table is there, with its triggers. The catalog is asked again until it leaves out none; where that takes long, because somebody alters a
// large table in its place, it is a *waitError and not an answer.
func (s *session) table(ctx context.Context, sql string, args ...sqldriver.Value) ([]string, [][]string, error) {
	catalog := strings.Contains(strings.ToLower(sql), "information_schema")
	for end, pause := time.Now().Add(5*time.Second), time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		names, all, err := s.answer(ctx, sql, args...)
		if err != nil || !catalog {
			return names, all, err
		}
		left, err := s.leftOut(ctx)
		switch {
		case err != nil:
			return nil, nil, err
		case left == "":
			return names, all, nil
		case time.Now().After(end):
			return nil, nil, &waitError{"the catalog can not be read: " + left}
		}
		select {
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// leftOut is the server's warning that the query before left a table out; empty where there is none.
func (s *session) leftOut(ctx context.Context) (string, error) {
	_, warnings, err := s.answer(ctx, "SHOW WARNINGS")
	for _, w := range warnings {
		if code, _ := strconv.ParseUint(w[1], 10, 16); code == skipped || classes[uint16(code)] == driver.Transient {
			return w[2], nil
		}
	}
	return "", err
}

// skipped is the server's warning that a catalog query left a table out.
const skipped = 1684

func (s *session) answer(ctx context.Context, sql string, args ...sqldriver.Value) ([]string, [][]string, error) {
	s.used = time.Now()
	r, err := s.conn.QueryContext(ctx, sql, bind(args))
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	names := append([]string(nil), r.Columns()...)
	for i := range names {
		names[i] = strings.ToLower(names[i])
	}
	values := make([]sqldriver.Value, len(names))
	var all [][]string
	for {
		if err := r.Next(values); errors.Is(err, io.EOF) {
			return names, all, r.Close()
		} else if err != nil {
			return nil, nil, err
		}
		line := make([]string, len(values))
		for i, v := range values {
			line[i] = asText(v)
		}
		all = append(all, line)
	}
}

func asText(v sqldriver.Value) string {
	switch v := v.(type) {
	case []byte:
		return string(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	case float32:
		return strconv.FormatFloat(float64(v), 'g', -1, 32)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return ""
}

func (s *session) begin(ctx context.Context) error {
	err := s.run(ctx, "START TRANSACTION")
	s.open = err == nil
	return err
}

// commit ends the transaction; an answer that is lost is an outcomeError.
func (s *session) commit(ctx context.Context) error {
	err := s.run(ctx, "COMMIT")
	s.open = false
	if err != nil && s.gone() {
		return &outcomeError{err}
	}
	return err
}

// rollback undoes what is open. A session that can not do it is ended, which does it too.
func (s *session) rollback() {
	if !s.open {
		return
	}
	s.open = false
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.run(ctx, "ROLLBACK"); err != nil {
		s.kill()
	}
}

// transact runs do in one transaction.
func (s *session) transact(ctx context.Context, do func() error) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	if err := do(); err != nil {
		s.rollback()
		return err
	}
	return s.commit(ctx)
}

func (s *session) gone() bool { return s.cut.Load() || !s.conn.IsValid() }

// kill cuts the connection, from any goroutine.
func (s *session) kill() {
	s.cut.Store(true)
	_ = s.wire.socket.Close()
}

// watch ends the session when the context ends, until unwatch is called, which reports whether it was in time. One that was
// too late ends the session at once: it must not be somebody else's when it is ended.
func (s *session) watch(ctx context.Context) (unwatch func() bool) {
	stop := context.AfterFunc(ctx, s.kill)
	return func() bool {
		if stop() {
			return true
		}
		s.kill()
		return false
	}
}

// end closes the session politely.
func (s *session) end() {
	s.closed()
	_ = s.conn.Close()
}

// pool holds the sessions of one purpose.
type pool struct {
	*puddle.Pool[*session]
	closed *atomic.Bool
}

var errClosed = errors.New("the database is closed")

func newPool(d *database, most int32) (*pool, error) {
	p, err := puddle.NewPool(&puddle.Config[*session]{
		Constructor: func(ctx context.Context) (*session, error) { return connect(ctx, d) },
		Destructor:  func(s *session) { s.end() },
		MaxSize:     most,
	})
	return &pool{p, &d.closed}, err
}

// empty ends the sessions that nobody has on loan.
func (p *pool) empty() {
	for _, r := range p.AcquireAllIdle() {
		(&lease{r.Value(), r}).drop()
	}
}

// lease is a session on loan.
type lease struct {
	*session
	resource *puddle.Resource[*session]
}

// take lends a session that answers; one that was idle for a minute is asked first.
func (p *pool) take(ctx context.Context) (*lease, error) {
	for !p.closed.Load() {
		r, err := p.Acquire(ctx)
		if err != nil {
			return nil, fmt.Errorf("get a session: %w", err)
		}
		l := &lease{r.Value(), r}
		if p.closed.Load() || l.gone() || time.Since(l.used) > time.Minute && l.run(ctx, "DO 1") != nil {
			l.drop()
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			continue
		}
		return l, nil
	}
	return nil, errClosed
}

// back gives the session back; what is open is undone. Again: does nothing.
func (l *lease) back() {
	if l.resource == nil {
		return
	}
	l.rollback()
	if l.gone() {
		l.drop()
		return
	}
	l.resource.Release()
	l.resource = nil
}

// drop ends the session instead of giving it back. Again: does nothing.
func (l *lease) drop() {
	if l.resource == nil {
		return
	}
	l.resource.Hijack()
	l.resource = nil
	l.end()
}

func (p *pool) with(ctx context.Context, do func(s *session) error) error {
	l, err := p.take(ctx)
	if err != nil {
		return err
	}
	defer l.back()
	return do(l.session)
}
