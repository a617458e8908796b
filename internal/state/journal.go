package state

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/internal/procedure"
)

var _ procedure.Journal = (*State)(nil)

// Append makes one entry last, with its number and the time, under the id of the run.
func (s *State) Append(ctx context.Context, e procedure.Entry) (procedure.Entry, error) {
	err := s.with(context.WithoutCancel(ctx), "write the journal", func() error {
		e.At = time.Now().UTC()
		return s.write(func() error {
			run, err := s.run()
			if err != nil {
				return err
			}
			err = s.query(`INSERT INTO journal (at, run, step, event, detail) VALUES (?, ?, ?, ?, ?)`, func(stmt *sqlite3.Stmt) error {
				return errors.Join(stmt.BindInt64(1, e.At.UnixNano()), stmt.BindText(2, run), stmt.BindText(3, e.Step),
					stmt.BindText(4, string(e.Event)), stmt.BindText(5, e.Detail))
			}, nil)
			e.Seq = s.db.LastInsertRowID()
			return err
		})
	})
	return e, err
}

// Entries returns the whole journal, of every run there was.
func (s *State) Entries(ctx context.Context) ([]procedure.Entry, error) {
	var entries []procedure.Entry
	err := s.with(ctx, "read the journal", func() error {
		return s.query(`SELECT seq, at, step, event, detail FROM journal ORDER BY seq`, nil, func(row *sqlite3.Stmt) error {
			entries = append(entries, procedure.Entry{
				Seq: row.ColumnInt64(0), At: time.Unix(0, row.ColumnInt64(1)).UTC(), Step: row.ColumnText(2),
				Event: procedure.Event(row.ColumnText(3)), Detail: row.ColumnText(4),
			})
			return nil
		})
	})
	return entries, err
}

// Run returns the id of this run, made when it is first asked for: lower-case letters and digits. Again: the same, until
// Forget.
func (s *State) Run(ctx context.Context) (run string, err error) {
	err = s.with(ctx, "read the run's id", func() error {
		return s.write(func() (err error) {
			run, err = s.run()
			return err
		})
	})
	return run, err
}

func (s *State) run() (run string, err error) {
	err = s.query(`SELECT value FROM setting WHERE name = 'run'`, nil, func(row *sqlite3.Stmt) error {
		run = row.ColumnText(0)
		return nil
	})
	if err != nil || run != "" {
		return run, err
	}
	run = strings.ToLower(rand.Text()[:12])
	return run, s.query(`INSERT INTO setting VALUES ('run', ?)`, text(run), nil)
}

// Forget empties everything but the journal and the documents of one folder: what is remembered next belongs to another run.
// Again: does nothing.
func (s *State) Forget(ctx context.Context, but string) error {
	return s.with(ctx, "forget the run", func() error {
		return s.write(func() error {
			const others = `DELETE FROM document WHERE NOT (key > ? AND key < ?)` // a zero follows the slash
			if err := s.query(others, text(but+"/", but+"0"), nil); err != nil {
				return err
			}
			return s.db.Exec(`DELETE FROM setting; DELETE FROM plan; DELETE FROM range; DELETE FROM counter`)
		})
	})
}
