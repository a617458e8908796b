package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// Load begins a range: fence, ledger line, COPY.
func (db *database) Load(ctx context.Context, in driver.Intake) (driver.Load, error) {
	l, err := db.worker(ctx)
	if err != nil {
		return nil, err
	}
	all := db.codecs(in.Shape)
	options, err := db.begin(ctx, l.session, in)
	form := lines
	if err == nil {
		form, err = l.layout(ctx, db.dialect().table(in.Table.Name), in.Shape, all)
	}
	if err != nil {
		l.rollback(ctx)
		l.release()
		return nil, fmt.Errorf("load range %d of %s: %w", in.Range.Number, in.Table.Name, err)
	}
	return &load{lease: l, in: in, rows: l.copyAs(ctx, db.copyInto(in), all, form, options...)}, nil
}

// copyInto is the COPY of a range, without options.
func (db *database) copyInto(in driver.Intake) string {
	return "COPY " + db.dialect().table(in.Table.Name) + " (" + quoteAll(in.Shape.Names()) + ") FROM STDIN"
}

// begin opens the transaction of a range and returns the options of its COPY.
func (db *database) begin(ctx context.Context, s *session, in driver.Intake) ([]string, error) {
	line := fmt.Sprintf(`INSERT INTO whimbrel_target.range (table_no, number, rows, epoch)
		SELECT %d, %d, -1, epoch FROM whimbrel_target.epoch WHERE epoch = %d`, in.Table.Number, in.Range.Number, in.Epoch)
	if _, err := s.fence(ctx, in.Epoch, line); err != nil {
		var server *pgconn.PgError
		if errors.As(err, &server) && server.Code == "23505" && server.ConstraintName == "range_loaded" {
			return nil, &failure{class: driver.Exists, err: errors.New("the ledger says that it was loaded")}
		}
		return nil, err
	}
	if !in.Sole || small(in.Table) {
		return nil, nil
	}
	freeze, err := s.emptied(ctx, in.Table, db.dialect().table(in.Table.Name))
	if freeze {
		return []string{"FREEZE"}, err
	}
	return nil, err
}

// small reports a table that is not worth a new file: as its pages are few, they are frozen soon.
func small(t *schema.Table) bool { return t.Bytes >= 0 && t.Bytes < 1<<20 }

// emptied truncates a table that is empty already, so that COPY may write its rows as if they had always been there; it
// returns false where that can not be: a row, another range, a partitioned table, a foreign key.
func (s *session) emptied(ctx context.Context, t *schema.Table, name string) (bool, error) {
	free, err := s.truncatable(ctx, name)
	if err != nil || !free {
		return false, err
	}
	r, err := s.query(ctx, "SELECT EXISTS (SELECT FROM "+name+") OR EXISTS (SELECT FROM whimbrel_target.range WHERE table_no = $1"+
		" AND rows >= 0) OR (SELECT relkind <> 'r' FROM pg_class WHERE oid = $2::regclass)", itoa(t.Number), name)
	if err != nil || string(r.Rows[0][0]) == "t" {
		return false, err
	}
	return true, s.exec(ctx, "TRUNCATE "+name)
}

// load is one range on its way in.
type load struct {
	lease *lease
	in    driver.Intake
	rows  *copying
	done  bool
}

// Write hands the batch's rows to COPY.
func (l *load) Write(ctx context.Context, b *row.Batch) error {
	if l.done {
		return errors.New("write: the load is closed")
	}
	err := l.rows.write(ctx, b)
	if err == nil {
		return nil
	}
	var cell *driver.CellError
	if errors.As(err, &cell) {
		cell.Table = l.in.Table.Name
		return err
	}
	if cause := l.rows.abort(); cause != nil && !errors.Is(cause, errAborted) {
		err = cause
	}
	return l.failed(err)
}

func (l *load) failed(err error) error {
	return fmt.Errorf("load range %d of %s: %w", l.in.Range.Number, l.in.Table.Name, err)
}

// Commit ends COPY, notes the count and commits.
func (l *load) Commit(ctx context.Context) (int64, error) {
	if l.done {
		return 0, errors.New("commit: the load is closed")
	}
	rows, err := l.rows.end(ctx)
	if err == nil {
		err = l.lease.book(ctx, l.in, rows)
	}
	if err != nil {
		return 0, errors.Join(l.failed(err), l.Close())
	}
	return rows, l.Close()
}

// book writes the count into the ledger line and commits.
func (s *session) book(ctx context.Context, in driver.Intake, rows int64) error {
	return s.commitAfter(ctx, fmt.Sprintf("UPDATE whimbrel_target.range SET rows = %d WHERE table_no = %d AND number = %d",
		rows, in.Table.Number, in.Range.Number))
}

// Close undoes what was not committed.
func (l *load) Close() error {
	if l.done {
		return nil
	}
	l.done = true
	_ = l.rows.abort()
	l.rows.cancel(nil)
	l.lease.rollback(context.Background())
	l.lease.release()
	return nil
}
