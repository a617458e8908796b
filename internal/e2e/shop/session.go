package shop

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Tally counts what the application did.
type Tally struct {
	Committed  int64
	RolledBack int64 // by its own wish
	Conflicts  int64 // by a key or a constraint
	Retried    int64 // after a deadlock, a time-out, a lost session
	Deeds      map[string]int64
	Refused    time.Time // when the gate first refused a write; zero when it never did
	Refusal    string    // and its words
}

// Run writes until the gate has refused every session, or the context ends. An error means that the application was
// disturbed by something that it would not expect from its database.
func (s *Shop) Run(ctx context.Context) (Tally, error) {
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		total = Tally{Deeds: map[string]int64{}}
		wrong []error
	)
	for n := range s.Sessions {
		wg.Go(func() {
			one := &session{shop: s, number: n, rng: rand.New(rand.NewPCG(s.Seed, uint64(n))), tally: Tally{Deeds: map[string]int64{}}}
			err := one.work(ctx)
			mu.Lock()
			defer mu.Unlock()
			total.add(one.tally)
			if err != nil {
				wrong = append(wrong, fmt.Errorf("session %d: %w", n, err))
			}
		})
	}
	wg.Wait()
	return total, errors.Join(wrong...)
}

func (t *Tally) add(o Tally) {
	t.Committed += o.Committed
	t.RolledBack += o.RolledBack
	t.Conflicts += o.Conflicts
	t.Retried += o.Retried
	for k, n := range o.Deeds {
		t.Deeds[k] += n
	}
	if t.Refused.IsZero() || !o.Refused.IsZero() && o.Refused.Before(t.Refused) {
		t.Refused, t.Refusal = o.Refused, o.Refusal
	}
}

// session is one of the application's sessions.
type session struct {
	shop   *Shop
	number int
	rng    *rand.Rand
	tx     *sql.Tx
	tally  Tally
}

// errUndo makes a transaction roll back although nothing is wrong.
var errUndo = errors.New("changed my mind")

func (s *session) work(ctx context.Context) error {
	deeds := s.deeds()
	weights := 0
	for _, d := range deeds {
		weights += d.weight
	}
	for ctx.Err() == nil {
		pick := s.rng.IntN(weights)
		i := 0
		for pick >= deeds[i].weight {
			pick -= deeds[i].weight
			i++
		}
		over, err := s.do(ctx, deeds[i])
		if over || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(s.shop.Pause):
		}
	}
	return nil
}

// do runs one deed in a transaction. It returns true when the gate is shut.
func (s *session) do(ctx context.Context, d deed) (bool, error) {
	err := s.transact(ctx, d)
	switch {
	case err == nil:
		s.tally.Committed++
		s.tally.Deeds[d.name]++
		return false, nil
	case errors.Is(err, errUndo):
		s.tally.RolledBack++
		return false, nil
	case ctx.Err() != nil:
		return true, nil
	}
	switch judge(err) {
	case refused:
		s.tally.Refused, s.tally.Refusal = time.Now(), d.name+": "+err.Error()
		return true, nil
	case again:
		s.tally.Retried++
		return false, nil
	case conflict:
		s.tally.Conflicts++
		return false, nil
	}
	if s.shop.Bears != nil && s.shop.Bears(err) {
		s.tally.Retried++
		return false, nil
	}
	return false, fmt.Errorf("%s: %w", d.name, err)
}

func (s *session) transact(ctx context.Context, d deed) error {
	tx, err := s.shop.db.BeginTx(ctx, s.isolation())
	if err != nil {
		s.shop.db.SetMaxIdleConns(0) // one may be in a transaction whose ROLLBACK was ended by somebody
		s.shop.db.SetMaxIdleConns(idle)
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	s.tx = tx
	if err := d.do(ctx); err != nil {
		return err
	}
	if s.rng.IntN(12) == 0 {
		return errUndo
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// isolation differs from session to session, as it does between programs that share a database.
func (s *session) isolation() *sql.TxOptions {
	levels := map[string][]sql.IsolationLevel{
		"postgres": {sql.LevelDefault, sql.LevelReadCommitted, sql.LevelRepeatableRead, sql.LevelSerializable},
		"mariadb":  {sql.LevelDefault, sql.LevelReadCommitted, sql.LevelRepeatableRead, sql.LevelReadCommitted},
		"sqlite":   {sql.LevelDefault},
	}[s.shop.Product]
	return &sql.TxOptions{Isolation: levels[s.number%len(levels)]}
}

// exec runs a statement with a question mark for each argument, and returns the rows it changed.
func (s *session) exec(ctx context.Context, statement string, args ...any) (int64, error) {
	r, err := s.tx.ExecContext(ctx, s.shop.bind(statement), args...)
	if err != nil {
		return 0, fmt.Errorf("%.60s: %w", statement, err)
	}
	return r.RowsAffected()
}

// run executes statements in order and forgets how many rows they changed.
func (s *session) run(ctx context.Context, statements ...string) error {
	for _, statement := range statements {
		if _, err := s.exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// pick returns the first key of a table at or after a random place up to the largest one, or errLost.
func (s *session) pick(ctx context.Context, table, key string) (int64, error) {
	var top sql.NullInt64
	if err := s.tx.QueryRowContext(ctx, "SELECT MAX("+key+") FROM "+table).Scan(&top); err != nil {
		return 0, fmt.Errorf("largest %s: %w", key, err)
	}
	if !top.Valid {
		return 0, errLost
	}
	return s.first(ctx, "SELECT "+key+" FROM "+table+" WHERE "+key+" >= "+strconv.FormatInt(1+s.rng.Int64N(max(top.Int64, 1)), 10)+" ORDER BY "+key+" LIMIT 1")
}

// first returns the first value of a query, or errLost when there is none.
func (s *session) first(ctx context.Context, query string, args ...any) (int64, error) {
	var n int64
	err := s.tx.QueryRowContext(ctx, s.shop.bind(query), args...).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, errLost
	}
	if err != nil {
		return 0, fmt.Errorf("%.60s: %w", query, err)
	}
	return n, nil
}

// words returns the first column of a query.
func (s *session) words(ctx context.Context, query string) ([]string, error) {
	rows, err := s.tx.QueryContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("%.60s: %w", query, err)
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var w string
		if err := rows.Scan(&w); err != nil {
			return nil, err
		}
		list = append(list, w)
	}
	return list, rows.Err()
}

// bind writes PostgreSQL's $1 for a question mark.
func (s *Shop) bind(statement string) string {
	if s.Product != "postgres" {
		return statement
	}
	var b strings.Builder
	n := 0
	for i := range len(statement) {
		if statement[i] != '?' {
			b.WriteByte(statement[i])
			continue
		}
		n++
		b.WriteString("$" + strconv.Itoa(n))
	}
	return b.String()
}

// lock makes a read see the latest rows and hold them, where a product needs to be told.
func (s *session) lock() string {
	if s.shop.Product == "sqlite" {
		return ""
	}
	return " FOR UPDATE"
}
