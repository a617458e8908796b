package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

//go:embed sql/ledger.sql
var ledgerDDL string

// lockClass is the class of our advisory locks. Number 0 is the fence: every transaction that writes at the target holds it
// shared until it ends, and TakeOver takes it alone. The number of a table orders what is put on its lists (lists.go).
const lockClass = 0x77686d62

type ledger struct{ db *database }

func (db *database) ledger() ledger { return ledger{db} }

func number(text []byte) int64 {
	n, _ := strconv.ParseInt(string(text), 10, 64)
	return n
}

func i64(n int64) string { return strconv.FormatInt(n, 10) }

// Prepare makes the book.
func (g ledger) Prepare(ctx context.Context, run string) error {
	l, err := g.db.keeper(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	defer l.rollback(ctx)
	if err := l.exec(ctx, "BEGIN; SELECT pg_advisory_xact_lock("+itoa(lockClass)+", 0);"); err != nil {
		return fmt.Errorf("prepare the ledger: %w", err)
	}
	if err := l.exec(ctx, ourSchema(targetSchema)+ledgerDDL); err != nil {
		return fmt.Errorf("prepare the ledger: %w", err)
	}
	const own = `INSERT INTO whimbrel_target.epoch (run, epoch) VALUES ($1, 0) ON CONFLICT (sole) DO NOTHING`
	if _, err := l.query(ctx, own, run); err != nil {
		return fmt.Errorf("prepare the ledger: %w", err)
	}
	r, err := l.query(ctx, "SELECT run FROM whimbrel_target.epoch")
	if err != nil {
		return fmt.Errorf("prepare the ledger: %w", err)
	}
	if got := string(r.Rows[0][0]); got != run {
		return fmt.Errorf("prepare the ledger: the target holds the book of another move, %s; finish or reset that one first", got)
	}
	return l.commit(ctx)
}

// TakeOver raises the epoch. Whoever holds the fence is an older writer: its session is ended, so that the fence can be taken
// alone; whoever asks for it later finds the new epoch.
func (g ledger) TakeOver(ctx context.Context) (int64, error) {
	l, err := g.db.keeper(ctx)
	if err != nil {
		return 0, err
	}
	defer l.release()
	defer l.rollback(ctx)
	for {
		epoch, err := g.raise(ctx, l.session)
		if err == nil {
			return epoch, nil
		}
		l.rollback(ctx)
		if classify(err) != driver.Transient || ctx.Err() != nil {
			return 0, fmt.Errorf("take over: %w", err)
		}
	}
}

// Epoch returns the epoch that may write.
func (g ledger) Epoch(ctx context.Context) (int64, error) {
	l, err := g.db.keeper(ctx)
	if err != nil {
		return 0, err
	}
	defer l.release()
	r, err := l.query(ctx, "SELECT epoch FROM whimbrel_target.epoch")
	switch {
	case err != nil:
		return 0, fmt.Errorf("read the epoch: %w", err)
	case len(r.Rows) != 1:
		return 0, errors.New("read the epoch: the ledger has not been prepared")
	}
	return number(r.Rows[0][0]), nil
}

const endHolders = `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
	AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
	AND classid = %d AND objid = 0 AND objsubid = 2 AND pid <> pg_backend_pid()`

func (g ledger) raise(ctx context.Context, s *session) (int64, error) {
	if err := s.exec(ctx, fmt.Sprintf(endHolders, lockClass)); err != nil {
		return 0, err
	}
	sql := "BEGIN; SET LOCAL lock_timeout = '200ms'; SELECT pg_advisory_xact_lock(" + itoa(lockClass) + ", 0);" +
		"UPDATE whimbrel_target.epoch SET epoch = epoch + 1 RETURNING epoch"
	r, err := s.execAll(ctx, sql)
	if err != nil {
		return 0, err
	}
	last := r[len(r)-1]
	if len(last.Rows) != 1 {
		return 0, errors.New("the ledger has not been prepared")
	}
	epoch := number(last.Rows[0][0])
	return epoch, s.commit(ctx)
}

// fence begins a transaction that only the current epoch may commit, and runs one statement that must change exactly one
// row; the statement names the epoch itself. It returns how many rows that was.
func (s *session) fence(ctx context.Context, epoch int64, statement string) (int64, error) {
	return s.fenceBehind(ctx, "BEGIN", epoch, statement)
}

// fenceBehind does so in a transaction that this statement begins, or that has changed nothing that others see.
func (s *session) fenceBehind(ctx context.Context, before string, epoch int64, statement string) (int64, error) {
	r, err := s.execAll(ctx, before+"; SELECT pg_advisory_xact_lock_shared("+itoa(lockClass)+", 0);"+statement)
	if err != nil {
		return 0, s.ended(ctx, err)
	}
	rows := r[len(r)-1].CommandTag.RowsAffected()
	if rows != 0 {
		return rows, nil
	}
	return 0, s.current(ctx, epoch)
}

// ended tells from an error about something that is missing whether it is the ledger: the move is over then, and its epochs with it.
func (s *session) ended(ctx context.Context, err error) error {
	if classify(err) != driver.Missing {
		return err
	}
	s.rollback(ctx)
	if r, failed := s.query(ctx, "SELECT to_regclass('whimbrel_target.epoch') IS NULL"); failed == nil && yes(r.Rows[0][0]) {
		return errEnded
	}
	return err
}

// ours begins a transaction of the current epoch that changes nothing in the ledger.
func (s *session) ours(ctx context.Context, epoch int64) error {
	_, err := s.fence(ctx, epoch, "SELECT FROM whimbrel_target.epoch WHERE epoch = "+i64(epoch))
	return err
}

// current returns nil when the epoch is still the ledger's.
func (s *session) current(ctx context.Context, epoch int64) error {
	r, err := s.query(ctx, "SELECT FROM whimbrel_target.epoch WHERE epoch = $1", i64(epoch))
	if err == nil && len(r.Rows) == 0 {
		return errFenced
	}
	return s.ended(ctx, err)
}

// Current looks whether the epoch may still write.
func (g ledger) Current(ctx context.Context, epoch int64) error {
	l, err := g.db.keeper(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	if err := l.current(ctx, epoch); err != nil {
		return fmt.Errorf("ask the ledger who writes: %w", err)
	}
	return nil
}

// Ranges returns the loaded ranges of a table.
func (g ledger) Ranges(ctx context.Context, t *schema.Table) (map[int]int64, error) {
	all, err := many(g).RangesAll(ctx, []*schema.Table{t})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name, err)
	}
	return all[t.Number], nil
}

// Clear empties a table with its ledger lines and lists.
func (g ledger) Clear(ctx context.Context, t *schema.Table, epoch int64) error {
	l, err := g.db.worker(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	defer l.rollback(ctx)
	err = g.clear(ctx, l.session, t, epoch)
	if err == nil {
		err = l.commit(ctx)
	}
	if err != nil {
		return fmt.Errorf("clear %s: %w", t.Name, err)
	}
	return nil
}

func (g ledger) clear(ctx context.Context, s *session, t *schema.Table, epoch int64) error {
	no := itoa(t.Number)
	if err := s.ours(ctx, epoch); err != nil {
		return err
	}
	name := g.db.dialect().table(t.Name)
	free, err := s.truncatable(ctx, name)
	if err != nil {
		return err
	}
	empty := "DELETE FROM " + name
	if free {
		empty = "TRUNCATE " + name
	}
	return s.exec(ctx, empty+"; DELETE FROM whimbrel_target.range WHERE table_no = "+no+
		"; DELETE FROM whimbrel_target.lane WHERE table_no = "+no+"; DELETE FROM whimbrel_target.list WHERE table_no = "+no)
}

// truncatable reports whether no foreign key forbids TRUNCATE.
func (s *session) truncatable(ctx context.Context, name string) (bool, error) {
	const query = `SELECT FROM pg_constraint WHERE contype = 'f' AND confrelid = $1::regclass AND conrelid <> confrelid LIMIT 1`
	r, err := s.query(ctx, query, name)
	return err == nil && len(r.Rows) == 0, err
}

// Number returns the last batch of a lane. It takes the table's advisory lock alone for a moment, which every Apply holds
// shared until the server is done with its COMMIT.
func (g ledger) Number(ctx context.Context, t *schema.Table, lane int) (driver.Batch, error) {
	l, err := g.db.keeper(ctx)
	if err != nil {
		return driver.Batch{}, err
	}
	defer l.release()
	defer l.rollback(ctx)
	sql := fmt.Sprintf("BEGIN; SELECT pg_advisory_xact_lock(%[1]d, %[2]d); SELECT number, promiser FROM whimbrel_target.lane WHERE table_no = %[2]d AND lane = %[3]d",
		lockClass, t.Number, lane)
	r, err := l.execAll(ctx, sql)
	if err == nil {
		err = l.exec(ctx, "ROLLBACK")
	}
	if err != nil {
		return driver.Batch{}, fmt.Errorf("read the number of lane %d of %s: %w", lane, t.Name, err)
	}
	if last := r[len(r)-1].Rows; len(last) > 0 {
		return driver.Batch{Number: number(last[0][0]), By: number(last[0][1])}, nil
	}
	return driver.Batch{}, nil
}

// Drop takes this run's book away, and the guard's function unless a table is guarded still.
func (g ledger) Drop(ctx context.Context) error {
	l, err := g.db.keeper(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	defer l.rollback(ctx)
	if err := l.exec(ctx, "BEGIN; SELECT pg_advisory_xact_lock("+itoa(lockClass)+", 0);"); err != nil {
		return fmt.Errorf("drop the ledger: %w", err)
	}
	run, err := l.runOf(ctx, "whimbrel_target.epoch")
	if err != nil {
		return fmt.Errorf("drop the ledger: %w", err)
	}
	if run != "" && run != g.db.options.Run {
		return nil
	}
	const drop = `DROP TABLE IF EXISTS whimbrel_target.epoch, whimbrel_target.range, whimbrel_target.lane, whimbrel_target.list;
		DROP SEQUENCE IF EXISTS whimbrel_target.stamp;`
	if err := l.exec(ctx, drop); err != nil && classify(err) != driver.Missing {
		return fmt.Errorf("drop the ledger: %w", err)
	}
	if err := l.commit(ctx); err != nil {
		return fmt.Errorf("drop the ledger: %w", err)
	}
	if err := l.dropGuard(ctx); err != nil {
		return fmt.Errorf("drop the ledger: %w", err)
	}
	return l.dropSchema(ctx, targetSchema)
}

// runOf reads whose a table of ours is, whose one row names its run; empty when there is none. In a schema that is somebody else's
// nothing is read: a view of that name would call functions with our rights.
func (s *session) runOf(ctx context.Context, table string) (string, error) {
	schema, name, _ := strings.Cut(table, ".")
	const look = `SELECT n.nspowner::regrole, n.nspowner = (SELECT oid FROM pg_roles WHERE rolname = current_user), c.oid IS NOT NULL
		FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = $2 WHERE n.nspname = $1`
	r, err := s.query(ctx, look, schema, name)
	switch {
	case err != nil || len(r.Rows) == 0:
		return "", err
	case !yes(r.Rows[0][1]):
		return "", &failure{class: driver.Refused, err: fmt.Errorf(someoneElses, schema, r.Rows[0][0])}
	case !yes(r.Rows[0][2]):
		return "", nil
	}
	if r, err = s.query(ctx, "SELECT run FROM "+table); err != nil || len(r.Rows) == 0 {
		return "", err
	}
	return string(r.Rows[0][0]), nil
}

// someoneElses is what is said of a schema of ours that another role owns.
const someoneElses = "the schema %s belongs to the role %s, who could change what we do in it: drop it, or give it to the role of the move"

// ourSchema plans one of our schemas. One that is there and is somebody else's is refused: whoever owns it can put triggers on our
// tables in it, which would run with our rights.
func ourSchema(name string) string {
	body := "DECLARE theirs name; BEGIN SELECT nspowner::regrole INTO theirs FROM pg_namespace WHERE nspname = " + literal(name) +
		" AND nspowner <> (SELECT oid FROM pg_roles WHERE rolname = current_user); IF theirs IS NOT NULL THEN RAISE EXCEPTION " +
		literal(strings.ReplaceAll(someoneElses, "%s", "%")) + ", " + literal(name) + ", theirs USING ERRCODE = '42501'; END IF; END"
	return "CREATE SCHEMA IF NOT EXISTS " + name + "; DO " + literal(body) + ";"
}

// dropSchema drops one of our schemas if nothing is left in it.
func (s *session) dropSchema(ctx context.Context, name string) error {
	err := s.exec(ctx, "DROP SCHEMA IF EXISTS "+name)
	var server *pgconn.PgError
	if errors.As(err, &server) && server.Code == "2BP01" {
		return nil
	}
	return err
}

// lockTimeout is a setting of one transaction.
func lockTimeout(d time.Duration) string {
	return "SET LOCAL lock_timeout = " + i64(max(d.Milliseconds(), 1)) + ";"
}
