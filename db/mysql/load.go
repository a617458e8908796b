package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	gosql "github.com/go-sql-driver/mysql"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// Load begins a range's transaction: the fence, the ledger line, then the rows. The rows of each batch go in by their own
// LOAD DATA LOCAL INFILE, or by INSERT where the server does not allow that.
func (d *database) Load(ctx context.Context, in driver.Intake) (driver.Load, error) {
	l, err := d.work.take(ctx)
	if err != nil {
		return nil, err
	}
	ld := &load{lease: l, d: d, in: in, into: newSink(d.dialect.name(in.Table.Name), in.Table, in.Shape)}
	if err := ld.start(ctx); err != nil {
		l.back()
		return nil, fmt.Errorf("load %s, range %d: %w", in.Table.Name, in.Range.Number, err)
	}
	return ld, nil
}

type load struct {
	*lease
	d      *database
	in     driver.Intake
	into   *sink
	stream *stream // nil before the first rows, and where LOAD DATA is not to be had
	sent   int64
}

func (l *load) start(ctx context.Context) error {
	if err := l.begin(ctx); err != nil {
		return err
	}
	if err := l.d.fence(ctx, l.session, l.in.Epoch); err != nil {
		return err
	}
	clearing, err := l.row(ctx, "SELECT COUNT(*) FROM "+l.d.own("range")+" WHERE table_no = ? AND number = -1", int64(l.in.Table.Number))
	if err == nil && clearing[0] != "0" {
		err = errors.New("the table was being emptied when that was interrupted: clear it again")
	}
	if err != nil {
		return err
	}
	err = l.run(ctx, "INSERT INTO "+l.d.own("range")+" (table_no, number, row_count) VALUES (?, ?, 0)", int64(l.in.Table.Number), int64(l.in.Range.Number))
	if number(err) == 1062 {
		return errLoaded
	}
	return err
}

// number is the server's number of an error, 0 when it has none.
func number(err error) uint16 {
	var server *gosql.MySQLError
	if errors.As(err, &server) {
		return server.Number
	}
	return 0
}

// Write sends one batch. After an error the load can only be closed.
func (l *load) Write(ctx context.Context, b *row.Batch) error {
	if l.resource == nil || !l.open {
		return errors.New("the load is over")
	}
	if err := l.write(ctx, b); err != nil {
		l.giveUp()
		l.rollback()
		return fmt.Errorf("load %s, range %d: %w", l.in.Table.Name, l.in.Range.Number, l.d.mend(ctx, l.in.Table, err))
	}
	l.sent += int64(b.Len())
	return nil
}

func (l *load) write(ctx context.Context, b *row.Batch) error {
	if !l.d.infile {
		return l.into.insert(ctx, l.d, l.session, b)
	}
	if l.stream == nil {
		l.stream = &stream{sink: l.into}
	}
	return l.stream.write(ctx, l.session, b)
}

// Commit makes rows and line last. The rows were counted by the server, statement by statement.
func (l *load) Commit(ctx context.Context) (int64, error) {
	if l.resource == nil || !l.open {
		return 0, errors.New("the load is over")
	}
	err := l.finish(ctx)
	if err == nil {
		err = l.commit(ctx)
	}
	if err != nil {
		l.giveUp()
		l.rollback()
		return 0, fmt.Errorf("commit %s, range %d: %w", l.in.Table.Name, l.in.Range.Number, l.d.mend(ctx, l.in.Table, err))
	}
	return l.sent, nil
}

func (l *load) finish(ctx context.Context) error {
	if l.stream != nil {
		if err := l.stream.end(ctx, l.session); err != nil {
			return err
		}
	}
	return l.run(ctx, "UPDATE "+l.d.own("range")+" SET row_count = ? WHERE table_no = ? AND number = ?",
		l.sent, int64(l.in.Table.Number), int64(l.in.Range.Number))
}

// Close undoes what was not committed.
func (l *load) Close() error {
	l.giveUp()
	l.back()
	return nil
}

// giveUp ends a statement that waits for rows, or the server would take what follows for them. Again: does nothing.
func (l *load) giveUp() {
	if l.resource != nil && l.stream != nil {
		l.stream.giveUp(l.session)
	}
}

// sink is a table that rows go into: one of the application's, or a temporary one of the same columns.
type sink struct {
	name  string // quoted
	table *schema.Table
	shape schema.Shape
	data  string // the LOAD DATA statement
}

func newSink(name string, t *schema.Table, s schema.Shape) *sink {
	k := &sink{name: name, table: t, shape: s}
	var fields, set []string
	for i, c := range s.Columns {
		q := quote(c.Column.Name)
		v := "@whimbrel" + strconv.Itoa(i)
		if e := assign(c.Column.Type, v); e != "" {
			fields, set = append(fields, v), append(set, q+" = "+e)
		} else {
			fields = append(fields, q)
		}
	}
	k.data = "LOAD DATA LOCAL INFILE 'whimbrel' INTO TABLE " + name + " CHARACTER SET binary FIELDS TERMINATED BY '\\t' ESCAPED BY '\\\\' LINES TERMINATED BY '\\n' (" +
		strings.Join(fields, ", ") + ")"
	if len(set) > 0 {
		k.data += " SET " + strings.Join(set, ", ")
	}
	return k
}

// assign is what a field needs to become its column's value; empty when the server stores the bytes as they are. The
// fields are read as binary, so that no byte of a blob is touched: text of another character set than UTF-8 must be
// converted, a bit would take the digits for bytes, year takes the text 0 for 2000, and the types of fixed size take
// binary for their inner form.
func assign(t schema.Type, v string) string {
	word := baseWord(t.Raw)
	switch {
	case word == "bit":
		return "CAST(CONV(" + v + ", 2, 10) AS UNSIGNED)"
	case word == "year":
		return "CAST(" + v + " AS UNSIGNED)"
	case word == "float":
		return "CASE " + v + " WHEN '" + largest + "' THEN '" + largestExact + "' WHEN '-" + largest + "' THEN '-" + largestExact + "' ELSE " + v + " END"
	case geometry(t):
		return "ST_GeomFromText(SUBSTRING(CONVERT(" + v + " USING utf8mb4), LOCATE(';', " + v + ") + 1), CAST(SUBSTRING(" + v + ", 6, LOCATE(';', " + v + ") - 6) AS UNSIGNED))"
	case word == "uuid", word == "inet4", word == "inet6", word == "json":
		return "CONVERT(" + v + " USING utf8mb4)"
	}
	switch t.Charset {
	case "", "utf8mb4", "utf8mb3", "utf8", "ascii", "binary":
		return ""
	}
	return "CONVERT(" + v + " USING utf8mb4)"
}

// The largest float: its shortest text is, as the double that the server makes of it first, out of a float's range.
const (
	largest      = "3.4028235e+38"
	largestExact = "3.40282346638528859e38"
)

// send puts a batch into the table, every row as it is or none.
func (k *sink) send(ctx context.Context, d *database, s *session, b *row.Batch) error {
	if b.Len() == 0 {
		return nil
	}
	if !d.infile {
		return k.insert(ctx, d, s, b)
	}
	t := &stream{sink: k}
	err := t.write(ctx, s, b)
	if err == nil {
		err = t.end(ctx, s)
	}
	t.giveUp(s)
	return err
}

// whole returns an error unless a statement stored all rows as they were sent, and the server has nothing to say.
func (k *sink) whole(ctx context.Context, s *session, keys *keyList, stored, sent int64, warnings int) error {
	if warnings > 0 {
		return k.warning(ctx, s, keys)
	}
	if stored != sent {
		return fmt.Errorf("%d rows were sent and %d stored", sent, stored)
	}
	return nil
}

// warning makes an error of the worst warning, with the place of the value and without the value. Keys are those of the
// statement's rows.
func (k *sink) warning(ctx context.Context, s *session, keys *keyList) error {
	all, err := s.rows(ctx, "SHOW WARNINGS")
	if err != nil || len(all) == 0 {
		return fmt.Errorf("the server warned of what it did, and not why: %w", errors.Join(err, errRows))
	}
	worst := max(slices.IndexFunc(all, func(w []string) bool { return w[1] != "1062" }), 0) // an altered key can be a duplicate too
	code, _ := strconv.Atoi(all[worst][1])
	message := all[worst][2]
	cell := &driver.CellError{Table: k.table.Name, Why: "does not fit", Column: columnOf(message)}
	if code == 1062 {
		cell.Column, cell.Why = "of a key", "has a value that another row has"
	}
	if at := strings.LastIndex(message, "at row "); at >= 0 {
		n, _ := strconv.Atoi(message[at+7:])
		cell.Key = keys.text(n)
	}
	return &warningError{uint16(code), cell}
}

// columnOf reads the column's name out of "Out of range value for column 'x' at row 1" and "… `db`.`t`.`x` at row 1".
func columnOf(message string) string {
	for _, q := range []string{"`", "'"} {
		head, _, ok := strings.Cut(message, q+" at row ")
		if i := strings.LastIndex(head, q); ok && i >= 0 {
			return head[i+1:]
		}
	}
	return "of the row"
}

func keyText(b *row.Batch, i int, key []int) string {
	all := make([]string, len(key))
	for n, c := range key {
		all[n] = string(b.Cell(i, c))
	}
	return strings.Join(all, ", ")
}

// insert is the way in where the server refuses LOAD DATA LOCAL: statements of about 1 MiB, or of one row.
func (k *sink) insert(ctx context.Context, d *database, s *session, b *row.Batch) error {
	head := commandHead + "INSERT INTO " + k.name + " (" + list(k.shape.Names()) + ") VALUES "
	sql, rows := []byte(head), int64(0)
	var keys keyList
	for i := range b.Len() {
		if rows > 0 {
			sql = append(sql, ',')
		}
		sql = append(sql, '(')
		for c, col := range k.shape.Columns {
			if c > 0 {
				sql = append(sql, ',')
			}
			sql = appendLiteral(sql, col.Column.Type, b.Cell(i, c))
		}
		sql = append(sql, ')')
		keys.one(b, i, k.shape.Key)
		rows++
		if i+1 < b.Len() && len(sql) <= 1<<20 && int64(len(sql)) <= d.packet/2 {
			continue
		}
		stored, warnings, err := s.put(ctx, sql)
		if err == nil {
			err = k.whole(ctx, s, &keys, stored, rows, warnings)
		} else if classes[number(err)] == driver.BadData {
			err = k.placed(ctx, s, &keys, err)
		}
		if err != nil {
			return err
		}
		sql, rows = append(sql[:0], head...), 0
		keys.reset()
	}
	return nil
}

// placed returns the error of a statement with the place of the value and without the value, where the server says the place.
func (k *sink) placed(ctx context.Context, s *session, keys *keyList, err error) error {
	var cell *driver.CellError
	if said := k.warning(ctx, s, keys); errors.As(said, &cell) && cell.Key != "" {
		return said
	}
	return err
}

// put executes a statement that has commandHead before it.
func (s *session) put(ctx context.Context, sql []byte) (rows int64, warnings int, err error) {
	err = s.command(ctx, func() (err error) {
		if err = s.wire.send(sql); err == nil {
			rows, warnings, err = s.wire.result()
		}
		return err
	})
	return rows, warnings, err
}
