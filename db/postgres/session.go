package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"

	"github.com/whimbrel/whimbrel/db/driver"
)

// session is one connection with our settings.
type session struct {
	conn   *pgconn.PgConn
	home   string         // current_schema() before our search_path
	path   []byte         // current_schemas() before it, as JSON
	silent bool           // session_replication_role is replica
	stages map[int]*stage // the temporary tables of Apply, by table number
	spare  []byte         // the buffer of the last COPY
}

// lease is a session taken from a pool until it is released.
type lease struct {
	*session
	held *puddle.Resource[*session]
	db   *database
}

func (db *database) pool(size int) (*puddle.Pool[*session], error) {
	return puddle.NewPool(&puddle.Config[*session]{
		Constructor: func(ctx context.Context) (*session, error) {
			s, err := db.connect(ctx)
			if err != nil {
				db.refused.Store(time.Now().UnixNano())
			}
			return s, err
		},
		Destructor: func(s *session) {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			_ = s.conn.Close(ctx)
		},
		MaxSize: int32(size),
	})
}

// worker takes a session for rows; keeper one for bookkeeping.
func (db *database) worker(ctx context.Context) (*lease, error) { return db.lease(ctx, db.workers) }
func (db *database) keeper(ctx context.Context) (*lease, error) { return db.lease(ctx, db.keepers) }

// spare is a session for rows if one is free at once; nil else. One that may be made is made meanwhile, for whoever asks next: it
// outlives the caller's business. Where none could be made, the server is left alone for a while.
func (db *database) spare(ctx context.Context) (*lease, error) {
	if time.Since(time.Unix(0, db.refused.Load())) < respite && db.workers.Stat().IdleResources() == 0 {
		return nil, nil //nolint:nilnil // none is free
	}
	l, err := db.acquired(ctx, func(ctx context.Context) (*puddle.Resource[*session], error) {
		return db.workers.TryAcquire(context.WithoutCancel(ctx))
	})
	if errors.Is(err, puddle.ErrNotAvailable) {
		return nil, nil //nolint:nilnil // none is free
	}
	return l, err
}

// respite is how long after a failure no session is made that can be done without.
const respite = 5 * time.Second

func (db *database) lease(ctx context.Context, pool *puddle.Pool[*session]) (*lease, error) {
	return db.acquired(ctx, pool.Acquire)
}

func (db *database) acquired(ctx context.Context, acquire func(context.Context) (*puddle.Resource[*session], error)) (*lease, error) {
	for {
		if db.over() {
			return nil, errOver
		}
		held, err := acquire(ctx)
		if err != nil {
			return nil, fmt.Errorf("connect to %s: %w", db.name, err)
		}
		l := &lease{session: held.Value(), held: held, db: db}
		if !db.hold(l.session) {
			held.Destroy()
			return nil, errOver
		}
		if held.IdleDuration() < time.Second || l.conn.Ping(ctx) == nil {
			return l, nil
		}
		l.drop()
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
	}
}

// errOver answers whoever asks for a session of a database that was closed.
var errOver = &failure{class: driver.Lost, err: errors.New("the database is closed")}

// over says whether the database was closed.
func (db *database) over() bool {
	db.closing.Lock()
	defer db.closing.Unlock()
	return db.closed
}

// hold notes who is given out, so that close can end it; false after close.
func (db *database) hold(s *session) bool {
	db.closing.Lock()
	defer db.closing.Unlock()
	if !db.closed {
		db.leased[s] = struct{}{}
	}
	return !db.closed
}

// letGo takes the note away.
func (db *database) letGo(s *session) {
	db.closing.Lock()
	defer db.closing.Unlock()
	delete(db.leased, s)
}

// release gives the session back, or ends it when something of a transaction or a query is left in it. Again: nothing.
func (l *lease) release() {
	if l.held == nil {
		return
	}
	if l.conn.IsClosed() || l.conn.IsBusy() || l.conn.TxStatus() != 'I' {
		l.drop()
		return
	}
	l.db.closing.Lock()
	defer l.db.closing.Unlock() // close looks for idle sessions after it has set closed, and must not miss this one
	delete(l.db.leased, l.session)
	if l.db.closed {
		l.held.Destroy()
	} else {
		l.held.Release()
	}
	l.held = nil
}

// drop ends the session.
func (l *lease) drop() {
	held := l.held
	l.held = nil
	l.db.letGo(l.session)
	held.Destroy()
}

// settings are the same in every session, whatever the role's or the database's own are (HAZARDS section 3).
const settings = `SET search_path = pg_catalog;
	SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET extra_float_digits = 3;
	SET bytea_output = 'hex'; SET xmlbinary = 'base64'; SET lc_monetary = 'C'; SET standard_conforming_strings = on;
	SET row_security = off; SET client_min_messages = error; SET default_transaction_isolation = 'read committed';
	SET default_transaction_read_only = off; SET default_transaction_deferrable = off;
	SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = '15min'; SET jit = off;
	SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local');
	SELECT set_config('transaction_timeout', '0', false) WHERE current_setting('transaction_timeout', true) IS NOT NULL;` // since 17

// connect opens one session. A target's sessions let no trigger and no foreign key act, where the role may say so.
func (db *database) connect(ctx context.Context) (*session, error) {
	conn, err := pgconn.ConnectConfig(ctx, db.config)
	if err != nil {
		return nil, &failure{class: connectClass(err), err: err}
	}
	conn.Frontend().SetMaxBodyLen(mostMessage)
	s := &session{conn: conn, stages: map[int]*stage{}}
	err = s.prepare(ctx, db.options)
	if err == nil && db.over() {
		err = errOver
	}
	if err != nil {
		_ = conn.Close(ctx)
		return nil, err
	}
	return s, nil
}

// prepare makes a session ours. Until it has set the search path, names are the database owner's to choose: they are written in
// full, and nothing but an own function of the server is called.
func (s *session) prepare(ctx context.Context, o driver.Options) error {
	r, err := s.query(ctx, "SELECT coalesce(pg_catalog.current_schema(), 'public'), pg_catalog.array_to_json(pg_catalog.current_schemas(false))")
	if err != nil {
		return err
	}
	s.home, s.path = string(r.Rows[0][0]), r.Rows[0][1]
	run := "SELECT set_config('whimbrel.run', " + literal(runLabel(o)) + ", false);"
	if err := s.exec(ctx, settings+run); err != nil {
		return fmt.Errorf("set up a session: %w", err)
	}
	if r, err = s.query(ctx, "SELECT current_setting('default_transaction_isolation')"); err != nil {
		return err
	}
	if got := string(r.Rows[0][0]); got != "read committed" {
		return fmt.Errorf("set up a session: the isolation is %s after it was set to read committed", got)
	}
	if o.Side != driver.Target {
		return nil
	}
	err = s.exec(ctx, "SET session_replication_role = replica")
	s.silent = err == nil
	if err != nil && classify(err) != driver.Refused {
		return err
	}
	return nil
}

// runLabel is the value of whimbrel.run in our sessions, which the guard lets through; never empty.
func runLabel(o driver.Options) string {
	if o.Run == "" {
		return "whimbrel"
	}
	return o.Run
}

// exec runs statements, several perhaps, in the simple protocol.
func (s *session) exec(ctx context.Context, sql string) error {
	_, err := s.execAll(ctx, sql)
	return err
}

func (s *session) execAll(ctx context.Context, sql string) ([]*pgconn.Result, error) {
	r, err := s.conn.Exec(ctx, sql).ReadAll()
	return r, s.explain(ctx, err)
}

// query runs one statement with text parameters and keeps its rows.
func (s *session) query(ctx context.Context, sql string, params ...string) (*pgconn.Result, error) {
	values := make([][]byte, len(params))
	for i, p := range params {
		values[i] = []byte(p)
	}
	r := s.conn.ExecParams(ctx, sql, values, nil, nil, nil).Read()
	return r, s.explain(ctx, r.Err)
}

// script runs statements in a transaction of their own. After an error the transaction is open still.
func (s *session) script(ctx context.Context, statements string) error {
	if err := s.exec(ctx, "BEGIN; "+statements); err != nil {
		return err
	}
	return s.commit(ctx)
}

// commit ends a transaction for good. An answer that is lost is Unknown.
func (s *session) commit(ctx context.Context) error { return s.commitAfter(ctx, "") }

// commitAfter runs a statement, if there is one, and commits, in one round trip; where the statement fails, the server does
// not come to the COMMIT. Errors as commit's.
func (s *session) commitAfter(ctx context.Context, statement string) error {
	sql, results := "COMMIT", 1
	if statement != "" {
		sql, results = statement+"; COMMIT", 2
	}
	r, err := s.conn.Exec(ctx, sql).ReadAll()
	var server *pgconn.PgError
	switch {
	case err != nil && errors.As(err, &server) && server.Severity != "FATAL" && server.Severity != "PANIC":
		return s.explain(ctx, err)
	case err != nil:
		return &failure{class: driver.Unknown, err: fmt.Errorf("commit: %w", s.explain(ctx, err))}
	case len(r) != results || r[results-1].CommandTag.String() != "COMMIT":
		return errors.New("commit: the server rolled the transaction back")
	}
	return nil
}

// rollback undoes a transaction; a session in which that fails is ended on release.
func (s *session) rollback(ctx context.Context) {
	if s.conn.IsClosed() || s.conn.IsBusy() || s.conn.TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_ = s.exec(ctx, "ROLLBACK")
}

// durable returns when everything this session has seen would survive a crash. Whatever another transaction committed
// without waiting for the disk lies before our own small message in the log, and our commit waits.
func (s *session) durable(ctx context.Context) error {
	r, err := s.query(ctx, "SELECT pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn()")
	if err == nil && string(r.Rows[0][0]) != "t" {
		_, err = s.query(ctx, "SELECT pg_logical_emit_message(true, 'whimbrel', '')")
	}
	if err != nil {
		return fmt.Errorf("wait for the log to be on disk: %w", err)
	}
	return nil
}

// quote writes an identifier.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// literal writes a string constant; every session has standard_conforming_strings on.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// anywhere writes a string constant that means the same whatever standard_conforming_strings is: for what the application's sessions read.
func anywhere(s string) string { return "E" + literal(strings.ReplaceAll(s, `\`, `\\`)) }

func quoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quote(n)
	}
	return strings.Join(quoted, ", ")
}
