package postgres

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// receipt is what one Take read. An entry is known by its ctid and its xmin: a place in the record is given to another entry
// only after Forget has removed the first, and that other one has another transaction. Both hold while the record's file is
// the one they were read from (VACUUM FULL writes another), which Forget asks in the same statement.
type receipt struct {
	lease   *lease
	want    driver.Want
	marks   *marks
	found   []entry
	file    uint32 // the record's file
	turn    uint32 // the page at which reading began; what is before it was read last
	last    spot   // of the entries, in the order of reading
	emptied bool
	cut     bool // keys were left

	promised int64 // the batch that it was promised as
}

// spot is where an entry is in the record.
type spot struct {
	page uint32
	line uint16
}

func (p spot) after(o spot) bool { return p.page > o.page || p.page == o.page && p.line > o.line }

func (p spot) tid() string { return fmt.Sprintf("'(%d,%d)'::tid", p.page, p.line) }

// entry is one line of the record: its place, its transaction, and the place of its key in the batch; -1 for the note that
// the table was emptied.
type entry struct {
	spot
	maker uint32
	key   int32
}

// entries reads the record and adds each key once, those of want.Also after them.
func (r *receipt) entries(ctx context.Context, db *database, keys *row.Batch) error {
	room := min(r.want.Most, 1<<16)
	known := setOf(keys, keys.Len(), room)
	if r.want.Most > 0 {
		shape := r.want.Shape.Keys()
		all := db.codecs(shape)
		sql, err := r.sql(shape)
		if err != nil {
			return err
		}
		r.found = make([]entry, 0, room)
		rows := r.lease.conn.ExecParams(ctx, sql, nil, nil, nil, append([]int16{1, 1, 1}, formats(all)...))
		one := row.NewBatch(shape.Width())
		var failed error
		if fields := rows.FieldDescriptions(); len(fields) == 3+len(all) {
			failed = check(all, fields[3:])
		}
		for rows.NextRow() {
			if failed == nil {
				failed = r.entry(rows.Values(), all, one, known)
			}
		}
		if _, err := rows.Close(); err != nil || failed != nil {
			return errors.Join(r.lease.explain(ctx, err), failed)
		}
	}
	if r.want.Also == nil {
		return nil
	}
	for i := range r.want.Also.Len() {
		if _, err := known.add(r.want.Also.Row(i)); err != nil {
			return err
		}
	}
	return nil
}

// entry takes one line of the record: its place, its transaction, the record's file, and the key.
func (r *receipt) entry(fields [][]byte, all []codec, one *row.Batch, known *keySet) error {
	e := entry{key: -1, maker: binary.BigEndian.Uint32(fields[1])}
	e.spot = spot{binary.BigEndian.Uint32(fields[0]), binary.BigEndian.Uint16(fields[0][4:])}
	r.file = binary.BigEndian.Uint32(fields[2])
	if fields[3] != nil {
		one.Reset()
		if err := appendRow(one, all, fields[3:]); err != nil {
			return err
		}
		at, err := known.add(one.Row(0))
		if err != nil {
			return err
		}
		e.key = int32(at)
	}
	r.found = append(r.found, e)
	return nil
}

// keep makes the receipt stand for the entries of the first keys, and for notes that the table was emptied.
func (r *receipt) keep(keys int) {
	kept, again := r.found[:0], false
	for _, e := range r.found {
		if int(e.key) < keys {
			kept = append(kept, e)
			r.emptied = r.emptied || e.key < 0
			again = again || e.page < r.turn
		}
	}
	r.found = kept
	slices.SortFunc(kept, func(a, b entry) int { return cmp.Or(cmp.Compare(a.page, b.page), cmp.Compare(a.line, b.line)) })
	for _, e := range kept {
		if e.after(r.last) && (!again || e.page < r.turn) {
			r.last = e.spot
		}
	}
}

// sql plans the reading of entries: from a mark, or from another receipt's last, to the end of the record, and then from its
// beginning up to where that round began. A lane's entries are those whose key hashes to it; the note that the table was
// emptied belongs to lane 0.
func (r *receipt) sql(shape schema.Shape) (string, error) {
	name, names := record(r.want.Table), make([]string, shape.Width())
	for i := range names {
		names[i] = "k" + itoa(i+1)
	}
	list := strings.Join(names, ", ")
	from := func(where string) string {
		return "SELECT ctid AS place, xmin AS maker, (SELECT pg_relation_filenode('" + name + "')) AS file, " + list +
			" FROM " + name + " WHERE " + where + r.inLane(shape)
	}
	start := ">= "
	at := spot{page: r.marks.get(r.want.Table, r.want.Lane)}
	r.turn = at.page
	if r.want.Beyond != nil {
		earlier, ours := r.want.Beyond.(*receipt)
		if !ours {
			return "", errors.New("the receipt to read beyond is not of this database")
		}
		start, at, r.turn = "> ", earlier.last, earlier.turn
	}
	stretch, end := from("ctid "+start+at.tid()), "ctid < "+spot{page: r.turn}.tid()
	switch {
	case at.page < r.turn:
		stretch += " AND " + end
	case r.turn > 0:
		stretch += " UNION ALL " + from(end)
	}
	return "SELECT * FROM (" + stretch + " LIMIT " + itoa(r.want.Most) + ") AS e ORDER BY " + list, nil
}

// inLane is the condition that a key belongs to the lane.
func (r *receipt) inLane(shape schema.Shape) string {
	if r.want.Lanes <= 1 {
		return ""
	}
	hashes := make([]string, shape.Width())
	for i, c := range shape.Columns {
		name := "k" + itoa(i+1)
		switch plain(c.Column.Type.Raw) {
		case "numeric":
			hashes[i] = "hash_numeric(" + name + ")"
		case "bpchar":
			hashes[i] = "hashbpchar(" + name + ")"
		default:
			hashes[i] = "hashtext(" + name + "::text)"
		}
	}
	return fmt.Sprintf(" AND coalesce(((%s)::bigint & 2147483647) %% %d, 0) = %d", strings.Join(hashes, " # "), r.want.Lanes, r.want.Lane)
}

// Entries is how many entries the receipt covers.
func (r *receipt) Entries() int { return len(r.found) }

// Cut reports whether keys that were found were left, because the rows of the others are large.
func (r *receipt) Cut() bool { return r.cut }

// Emptied reports whether one notes that the table was emptied.
func (r *receipt) Emptied() bool { return r.emptied }

// Durable writes the promise. Its commit waits for the disk, and whatever the receipt has seen lies before it in the log.
func (r *receipt) Durable(ctx context.Context, number int64) error {
	if r.lease.held == nil {
		return errors.New("durable: the receipt is closed")
	}
	if r.promised == number {
		return nil
	}
	const promise = `INSERT INTO whimbrel_source.lane (table_no, lane, number, promiser) SELECT $1::integer, $2::integer, $4::bigint, $5::bigint
		WHERE $4::bigint - 1 = coalesce((SELECT number FROM whimbrel_source.lane WHERE table_no = $1::integer AND lane = $3::integer), 0)
		ON CONFLICT (table_no, lane) DO UPDATE SET number = EXCLUDED.number, promiser = EXCLUDED.promiser WHERE lane.number = EXCLUDED.number - 1`
	lane := r.want.Lane
	got, err := r.lease.query(ctx, promise, itoa(r.want.Table.Number), itoa(promises(lane)), itoa(lane), i64(number), i64(r.want.Epoch))
	if err == nil && got.CommandTag.RowsAffected() != 1 {
		err = &failure{class: driver.Conflict, err: errors.New("the batch before it was not promised or is not forgotten")}
	}
	if err != nil {
		return fmt.Errorf("promise batch %d of %s: %w", number, r.want.Table.Name, err)
	}
	r.promised = number
	return nil
}

// Forget removes exactly the entries and writes the number.
func (r *receipt) Forget(ctx context.Context, number int64) error {
	if r.lease.held == nil {
		return errors.New("forget: the receipt is closed")
	}
	if err := r.forget(ctx, number); err != nil {
		r.lease.rollback(ctx)
		return fmt.Errorf("forget batch %d of %s: %w", number, r.want.Table.Name, err)
	}
	if len(r.found) > 0 {
		r.marks.set(r.want.Table, r.want.Lane, r.last.page)
	}
	r.found, r.emptied = nil, false
	return nil
}

// forget looks every entry up by its place: a plan that reads the record for them would read it as often as there are batches.
func (r *receipt) forget(ctx context.Context, number int64) error {
	t, b := r.want.Table, &pgconn.Batch{}
	b.ExecParams("BEGIN", nil, nil, nil, nil)
	if len(r.found) > 0 {
		b.ExecParams("SET LOCAL enable_hashjoin = off", nil, nil, nil, nil)
		b.ExecParams("SET LOCAL enable_mergejoin = off", nil, nil, nil, nil)
		b.ExecParams(forgetting(t), [][]byte{r.places(), r.makers(), binary.BigEndian.AppendUint32(nil, r.file)}, nil, []int16{1, 1, 1}, nil)
	}
	const lane = `INSERT INTO whimbrel_source.lane (table_no, lane, number) VALUES ($1, $2, $3)
		ON CONFLICT (table_no, lane) DO UPDATE SET number = EXCLUDED.number WHERE lane.number <= EXCLUDED.number`
	b.ExecParams(lane, [][]byte{[]byte(itoa(t.Number)), []byte(itoa(r.want.Lane)), []byte(i64(number))}, nil, nil, nil)
	done, err := r.lease.conn.ExecBatch(ctx, b).ReadAll()
	if err != nil {
		return r.lease.explain(ctx, err)
	}
	if n := done[len(done)-2].CommandTag.RowsAffected(); len(r.found) > 0 && n != int64(len(r.found)) {
		return &failure{class: driver.Transient, err: fmt.Errorf("%d of %d entries are where they were read; take them again", n, len(r.found))}
	}
	if done[len(done)-1].CommandTag.RowsAffected() != 1 {
		return errors.New("a later batch has been forgotten already")
	}
	return r.lease.commit(ctx)
}

// forgetting deletes entries by place and transaction while the record has its file.
func forgetting(t *schema.Table) string {
	return `DELETE FROM ` + record(t) + ` AS r USING unnest($1::tid[], $2::xid[]) AS u(place, maker)
		WHERE r.ctid = u.place AND r.xmin = u.maker AND pg_relation_filenode('` + record(t) + `') = $3::oid`
}

// The numbers of the types that travel as arrays, which are the same in every server.
const (
	byteaType = 17
	tidType   = 27
	xidType   = 28
	uuidType  = 2950
)

// places writes the places as an array in binary.
func (r *receipt) places() []byte {
	dst := appendArray(make([]byte, 0, 20+10*len(r.found)), tidType, len(r.found))
	for _, e := range r.found {
		dst = binary.BigEndian.AppendUint32(append(dst, 0, 0, 0, 6), e.page)
		dst = binary.BigEndian.AppendUint16(dst, e.line)
	}
	return dst
}

// makers writes the transactions as an array in binary.
func (r *receipt) makers() []byte {
	dst := appendArray(make([]byte, 0, 20+8*len(r.found)), xidType, len(r.found))
	for _, e := range r.found {
		dst = binary.BigEndian.AppendUint32(append(dst, 0, 0, 0, 4), e.maker)
	}
	return dst
}

// appendArray writes the head of an array of one dimension without NULLs in binary; its elements follow, each behind the four
// bytes of its length.
func appendArray(dst []byte, element uint32, n int) []byte {
	dimensions := uint32(1)
	if n == 0 {
		dimensions = 0
	}
	dst = binary.BigEndian.AppendUint32(dst, dimensions)
	dst = binary.BigEndian.AppendUint32(append(dst, 0, 0, 0, 0), element)
	if n == 0 {
		return dst
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(n))
	return append(dst, 0, 0, 0, 1) // the first has number 1
}

// Close gives the session back.
func (r *receipt) Close() error {
	r.lease.rollback(context.Background())
	r.lease.release()
	return nil
}
