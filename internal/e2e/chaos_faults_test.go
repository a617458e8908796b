package e2e

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/internal/e2e/shop"
)

// disturb lets everything loose that is drawn for this round beside the network and the program's own deaths. The returned
// function ends it, and returns when all is as it was: servers run, disks have space, clocks are right.
func (r *round) disturb() func() {
	ctx, cancel := context.WithCancel(r.t.Context())
	var wg sync.WaitGroup
	crashes, source, target := 60, killedSource, killedTarget
	long := os.Getenv("CHAOS_ROUNDS") != "" // the short form has its three minutes for what was there before
	if r.dark {
		crashes, source, target = 100, darkSource, darkTarget
	}
	for i, d := range []struct {
		percent int
		mean    time.Duration // between two of its kind
		do      func(context.Context, *rand.Rand)
		able    bool
	}{
		{crashes, 4 * time.Second, r.crash(r.source, source), r.source.server != nil},
		{crashes, 4 * time.Second, r.crash(r.target, target), r.target.server != nil},
		{30, 3 * time.Second, r.full(r.source, fullSource), r.source.disk.own()},
		{25, 3 * time.Second, r.full(r.target, fullTarget), r.target.disk.own()},
		{25, 3 * time.Second, r.fullState, r.state.own()},
		{20, 5 * time.Second, r.crowd(r.source, r.live.source), r.source.server != nil},
		{20, 5 * time.Second, r.crowd(r.target, r.live.target), r.target.server != nil},
		{35, 2 * time.Second, r.long, r.source.server != nil},
		{35, 1 * time.Second, r.quarrel, r.source.server != nil},
		{25, 3 * time.Second, r.turnClock(r.source, r.live.source), r.source.clock != ""},
		{25, 3 * time.Second, r.turnClock(r.target, r.live.target), r.target.clock != ""},
		{40, 2 * time.Second, r.execute(r.live.source), r.source.server != nil && long},
		{30, 2 * time.Second, r.execute(r.live.target), r.target.server != nil && long},
	} {
		rng := rand.New(rand.NewPCG(r.seed, uint64(100+i)))
		if rng.IntN(100) >= d.percent || !d.able {
			continue
		}
		wg.Go(func() {
			for n := range 6 { // then it is enough: the move is to end
				if !wait(ctx, time.Duration(rng.ExpFloat64()*float64(d.mean))+time.Duration(n)*d.mean/4) {
					return
				}
				d.do(ctx, rng)
			}
		})
	}
	return func() { cancel(); wg.Wait() }
}

// wait returns false when the context ends first.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (r *round) crash(s *side, what string) func(context.Context, *rand.Rand) {
	return func(context.Context, *rand.Rand) {
		s.crash(r.t)
		r.did(what, 1)
	}
}

func (r *round) full(s *side, what string) func(context.Context, *rand.Rand) {
	return func(ctx context.Context, rng *rand.Rand) {
		s.fill(r.t, func() { wait(ctx, time.Duration(200+rng.IntN(2500))*time.Millisecond) })
		r.did(what, 1)
	}
}

func (r *round) fullState(ctx context.Context, rng *rand.Rand) {
	r.mu.Lock()
	d := r.state
	r.mu.Unlock()
	d.fill(r.t)
	wait(ctx, time.Duration(100+rng.IntN(1500))*time.Millisecond)
	d.free(r.t)
	r.did(fullState, 1)
}

// turnClock turns a server's clock for a moment, by up to thirty days either way. Who waits for a lock when it goes back waits with timers of
// a time that is yet to come: PostgreSQL looks for deadlocks by them, and one that has begun is not ended by anybody but an administrator.
func (r *round) turnClock(s *side, at string) func(context.Context, *rand.Rand) {
	return func(ctx context.Context, rng *rand.Rand) {
		by := rng.IntN(2*30*86400) - 30*86400
		if rng.IntN(2) == 0 {
			by = rng.IntN(7200) - 3600
		}
		s.turn(r.t, fmt.Sprintf("%+d", by))
		wait(ctx, time.Duration(500+rng.IntN(4000))*time.Millisecond)
		s.turn(r.t, "+0")
		r.did(turned, 1)
		if strings.HasPrefix(at, "postgres") {
			r.endWaiting(at)
		}
	}
}

// endWaiting ends whoever of the application waits for a lock, for as long as a session may still see the clock that was turned: one that
// begins to wait by it, and is set back then, waits for ever. The look may be ended too; a server that is down has ended them.
func (r *round) endWaiting(at string) {
	db := r.client(at)
	defer db.Close()
	for seen := time.After(2 * clockSeen); ; {
		ctx, cancel := context.WithTimeout(r.t.Context(), clockSeen)
		_, _ = db.ExecContext(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name NOT LIKE 'whimbrel%' AND wait_event_type = 'Lock'")
		cancel()
		select {
		case <-seen:
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// crowd takes every session that a server has left.
func (r *round) crowd(s *side, at string) func(context.Context, *rand.Rand) {
	return func(ctx context.Context, rng *rand.Rand) {
		db := r.client(at)
		defer db.Close()
		var held []*sql.Conn
		full := false
		for range most + 5 {
			c, err := db.Conn(ctx)
			if err != nil {
				full = bears(err)
				break
			}
			held = append(held, c)
		}
		wait(ctx, time.Duration(300+rng.IntN(3000))*time.Millisecond)
		for _, c := range held {
			_ = c.Close()
		}
		if full && len(held) > 0 {
			r.did(noSessions, 1)
		}
	}
}

// execute is an administrator who ends statements and sessions at random, the program's too, and has the server open its tables anew
// meanwhile: a MariaDB session that is killed while it opens a table leaves the table with triggers that are not read.
func (r *round) execute(at string) func(context.Context, *rand.Rand) {
	list, statement, session, anew := "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()", "KILL QUERY %d", "KILL %d", "FLUSH TABLES"
	if strings.HasPrefix(at, "postgres") {
		list = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
		statement, session, anew = "SELECT pg_cancel_backend(%d)", "SELECT pg_terminate_backend(%d)", "DISCARD ALL"
	}
	return func(ctx context.Context, rng *rand.Rand) {
		ctx, cancel := context.WithTimeout(ctx, time.Duration(200+rng.IntN(1500))*time.Millisecond)
		defer cancel()
		db := r.client(at)
		defer db.Close()
		for wait(ctx, time.Duration(rng.IntN(4000))*time.Microsecond) {
			sessions := integers(ctx, db, list)
			if len(sessions) == 0 {
				continue // the server is down, or full
			}
			what := statement
			if rng.IntN(20) == 0 {
				what = session
			}
			if _, err := db.ExecContext(ctx, fmt.Sprintf(what, sessions[rng.IntN(len(sessions))])); err == nil {
				r.did(executed, 1)
			}
			if rng.IntN(10) == 0 {
				_, _ = db.ExecContext(ctx, anew) // it is not the fault that is counted
			}
		}
	}
}

// integers are what a query returns; none where it fails.
func integers(ctx context.Context, db *sql.DB, query string) (all []int) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var n int
		if err := rows.Scan(&n); err != nil {
			return nil
		}
		all = append(all, n)
	}
	if rows.Err() != nil {
		return nil
	}
	return all
}

// client is a usual client of a database, without a proxy.
func (r *round) client(at string) *sql.DB {
	driver, dsn := "pgx", at
	if u, err := url.Parse(at); err == nil && u.Scheme == "mariadb" {
		c := mysql.NewConfig()
		c.User, c.Net, c.Addr, c.DBName = u.User.Username(), "tcp", u.Host, strings.TrimPrefix(u.Path, "/")
		c.Passwd, _ = u.User.Password()
		c.Logger = &mysql.NopLogger{}
		c.Params = map[string]string{"sql_mode": "'ANSI_QUOTES,STRICT_TRANS_TABLES'"}
		driver, dsn = "mysql", c.FormatDSN()
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		r.t.Fatal(err)
	}
	return db
}

// long writes rows in a transaction that stays open for seconds, and commits it then.
func (r *round) long(ctx context.Context, rng *rand.Rand) {
	db := r.client(r.live.source)
	defer db.Close()
	r.writing.RLock()
	defer r.writing.RUnlock()
	if r.over {
		return
	}
	err := func() error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		for range 3 {
			if _, err := tx.ExecContext(ctx, "INSERT INTO event (at, kind) VALUES ('2030-01-01 00:00:00', 'long')"); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, "UPDATE event SET kind = 'longer' WHERE kind = 'long'"); err != nil {
			return err
		}
		wait(ctx, time.Duration(1000+rng.IntN(9000))*time.Millisecond)
		return tx.Commit()
	}()
	if err == nil {
		r.did(longOpen, 1)
	}
	r.expect(ctx, "a long transaction", err)
}

// quarrel is two sessions that take the same locks in opposite orders.
func (r *round) quarrel(ctx context.Context, rng *rand.Rand) {
	db := r.client(r.live.source)
	defer db.Close()
	statements := []string{
		`UPDATE account SET note = note WHERE id <= 3`, `UPDATE "order" SET status = status WHERE id <= 3`, `UPDATE tag SET weight = weight WHERE weight <= 5`,
		`UPDATE event SET kind = kind WHERE id <= 3`,
	}
	rng.Shuffle(len(statements), func(i, j int) { statements[i], statements[j] = statements[j], statements[i] })
	pauses := []time.Duration{time.Duration(rng.IntN(40)) * time.Millisecond, time.Duration(rng.IntN(40)) * time.Millisecond}
	var wg sync.WaitGroup
	for side := range 2 {
		wg.Go(func() {
			for range 20 {
				err := r.lockInOrder(ctx, db, statements, side, pauses[side])
				if isDeadlock(err) {
					r.did(deadlocked, 1)
				}
				r.expect(ctx, "a quarrelling session", err)
				if err != nil && shop.Refused(err) || !wait(ctx, time.Duration(2+side)*100*time.Millisecond) {
					return
				}
			}
		})
	}
	wg.Wait()
}

func (r *round) lockInOrder(ctx context.Context, db *sql.DB, statements []string, side int, pause time.Duration) error {
	r.writing.RLock()
	defer r.writing.RUnlock()
	if r.over {
		return context.Canceled
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for i := range statements {
		if side == 1 {
			i = len(statements) - 1 - i
		}
		if _, err := tx.ExecContext(ctx, statements[i]); err != nil {
			return err
		}
		wait(ctx, pause)
	}
	return tx.Commit()
}

// expect fails the test when an application's session had an error that neither its server nor the gate explains.
func (r *round) expect(ctx context.Context, who string, err error) {
	if err != nil && ctx.Err() == nil && !errors.Is(err, context.Canceled) && !isDeadlock(err) && !bears(err) && !shop.Refused(err) {
		r.t.Errorf("%s was disturbed: %v", who, err)
	}
}

func isDeadlock(err error) bool {
	var pg *pgconn.PgError
	var my *mysql.MySQLError
	return errors.As(err, &pg) && pg.Code == "40P01" || errors.As(err, &my) && (my.Number == 1213 || my.Number == 1205)
}

// bears reports whether an application's error is what this test does to its server: it is killed, its sessions are used up,
// its disk is full.
func bears(err error) bool {
	var pg *pgconn.PgError
	var my *mysql.MySQLError
	var lite *sqlite3.Error
	var network net.Error
	switch {
	case errors.As(err, &pg):
		return strings.HasPrefix(pg.Code, "53") || strings.HasPrefix(pg.Code, "57") || strings.HasPrefix(pg.Code, "58") || pg.Code == "08006"
	case errors.As(err, &my):
		switch my.Number {
		case 1317, 1568: // ended by an administrator, a ROLLBACK too, so that the session is in a transaction still
			return true
		case 1040, 1203, 1053, 1021, 1114, 1026, 1030, 1180, 3, 1205, 1213, 1598, 1950, 1927, 1194, 1034:
			return true
		}
		return metUnread(err)
	case errors.As(err, &lite):
		return lite.Code() == sqlite3.FULL || lite.Code() == sqlite3.IOERR || lite.Code() == sqlite3.BUSY
	case errors.Is(err, sql.ErrTxDone), errors.Is(err, sql.ErrConnDone), errors.As(err, &network), pgconn.SafeToRetry(err),
		errors.Is(err, mysql.ErrInvalidConn), errors.Is(err, net.ErrClosed):
		return true
	}
	return strings.HasSuffix(err.Error(), "conn closed") || strings.HasSuffix(err.Error(), "EOF") || strings.Contains(err.Error(), "bad connection")
}
