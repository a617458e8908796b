package postgres

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// lists are the repair list and the changed list. An entry's stamp is drawn while the table's advisory lock is held shared;
// Peek takes that lock alone for a moment. So no transaction is under way whose stamp is below the one that Peek returns,
// and a key that is put on a list again after Peek has a higher stamp.
type lists struct{ db *database }

// letter is a list's name in the book, short because it is part of every entry of its index.
func letter(list driver.List) string { return string(list[:1]) }

// Peek reads keys and the stamp.
func (l lists) Peek(ctx context.Context, list driver.List, t *schema.Table, max int, keys *row.Batch) (int64, error) {
	s, err := l.db.keeper(ctx)
	if err != nil {
		return 0, err
	}
	defer s.release()
	defer s.rollback(ctx)
	sql := fmt.Sprintf(`BEGIN; SELECT pg_advisory_xact_lock(%d, %d); SELECT nextval('whimbrel_target.stamp');
		SELECT key FROM whimbrel_target.list WHERE list = %s AND table_no = %d ORDER BY stamp LIMIT %d`,
		lockClass, t.Number, literal(letter(list)), t.Number, max)
	r, err := s.execAll(ctx, sql)
	if err == nil {
		err = s.exec(ctx, "ROLLBACK")
	}
	if err != nil {
		return 0, fmt.Errorf("read the %s list of %s: %w", list, t.Name, err)
	}
	stamp := number(r[len(r)-2].Rows[0][0])
	for _, line := range r[len(r)-1].Rows {
		run, err := hex.DecodeString(string(line[0][2:]))
		if err == nil {
			err = keys.AppendRow(run)
		}
		if err != nil {
			return 0, fmt.Errorf("read the %s list of %s: %w", list, t.Name, err)
		}
	}
	return stamp, nil
}

const strike = `DELETE FROM whimbrel_target.list WHERE table_no = $2 AND list = $1 AND stamp <= $3 AND digest = ANY ($4::uuid[])`

var strikeFormats = []int16{0, 0, 0, 1}

func strikeArgs(list driver.List, t *schema.Table, keys *row.Batch, stamp int64) [][]byte {
	return [][]byte{[]byte(letter(list)), []byte(itoa(t.Number)), []byte(i64(stamp)), digests(keys)}
}

// Strike removes keys that were not put there again.
func (l lists) Strike(ctx context.Context, list driver.List, t *schema.Table, keys *row.Batch, stamp int64) error {
	s, err := l.db.keeper(ctx)
	if err != nil {
		return err
	}
	defer s.release()
	r := s.conn.ExecParams(ctx, strike, strikeArgs(list, t, keys, stamp), nil, strikeFormats, nil).Read()
	if err := s.explain(ctx, r.Err); err != nil {
		return fmt.Errorf("strike keys from the %s list of %s: %w", list, t.Name, err)
	}
	return nil
}

// Count counts a list.
func (l lists) Count(ctx context.Context, list driver.List, t *schema.Table) (int64, error) {
	s, err := l.db.keeper(ctx)
	if err != nil {
		return 0, err
	}
	defer s.release()
	const count = "SELECT count(*) FROM whimbrel_target.list WHERE list = $1 AND table_no = $2"
	r, err := s.query(ctx, count, letter(list), itoa(t.Number))
	if err != nil {
		return 0, fmt.Errorf("count the %s list of %s: %w", list, t.Name, err)
	}
	return number(r.Rows[0][0]), nil
}

// Put puts keys on a list in a transaction of its own, as Apply does in its.
func (l lists) Put(ctx context.Context, list driver.List, t *schema.Table, keys *row.Batch) error {
	s, err := l.db.keeper(ctx)
	if err != nil {
		return err
	}
	defer s.release()
	defer s.rollback(ctx)
	err = s.exec(ctx, fmt.Sprintf("BEGIN; SELECT pg_advisory_xact_lock_shared(%d, %d)", lockClass, t.Number))
	if err == nil {
		err = s.put(ctx, list, t, keys)
	}
	if err == nil {
		err = s.commit(ctx)
	}
	if err != nil {
		return fmt.Errorf("put keys on the %s list of %s: %w", list, t.Name, err)
	}
	return nil
}

const listed = `SELECT key FROM whimbrel_target.list WHERE table_no = $2 AND list = $1 AND digest = ANY ($3::uuid[])`

// Listed looks for keys on a list.
func (l lists) Listed(ctx context.Context, list driver.List, t *schema.Table, keys, found *row.Batch) error {
	s, err := l.db.keeper(ctx)
	if err != nil {
		return err
	}
	defer s.release()
	args := [][]byte{[]byte(letter(list)), []byte(itoa(t.Number)), digests(keys)}
	r := s.conn.ExecParams(ctx, listed, args, nil, []int16{0, 0, 1}, []int16{1}).Read()
	err = s.explain(ctx, r.Err)
	for i := 0; i < len(r.Rows) && err == nil; i++ {
		err = found.AppendRow(r.Rows[i][0])
	}
	if err != nil {
		return fmt.Errorf("look for keys on the %s list of %s: %w", list, t.Name, err)
	}
	return nil
}

// put puts keys on a list.
func (s *session) put(ctx context.Context, list driver.List, t *schema.Table, keys *row.Batch) error {
	return s.explain(ctx, s.conn.ExecParams(ctx, put, putArgs(list, t, keys), nil, putFormats, nil).Read().Err)
}

// put is the statement that puts keys on a list; one stamp is drawn for all of them.
const put = `INSERT INTO whimbrel_target.list (list, table_no, digest, key, stamp)
	SELECT $1, $2::integer, u.digest, u.key, s.stamp FROM (SELECT nextval('whimbrel_target.stamp') AS stamp) AS s,
		unnest($3::uuid[], $4::bytea[]) AS u(digest, key) ORDER BY u.digest
	ON CONFLICT (table_no, list, digest) DO UPDATE SET stamp = EXCLUDED.stamp`

var putFormats = []int16{0, 0, 1, 1}

func putArgs(list driver.List, t *schema.Table, keys *row.Batch) [][]byte {
	return [][]byte{[]byte(letter(list)), []byte(itoa(t.Number)), digests(keys), runs(keys)}
}

// digests writes the digests of a batch's rows as an array in binary.
func digests(keys *row.Batch) []byte {
	dst := appendArray(make([]byte, 0, 20+20*keys.Len()), uuidType, keys.Len())
	for i := range keys.Len() {
		d := row.Seed(0).Digest(keys.Row(i))
		dst = append(append(dst, 0, 0, 0, byte(len(d))), d[:]...)
	}
	return dst
}

// runs writes a batch's rows as they are as an array in binary.
func runs(keys *row.Batch) []byte {
	dst := appendArray(make([]byte, 0, 20+4*keys.Len()+keys.Size()), byteaType, keys.Len())
	for i := range keys.Len() {
		run := keys.Row(i)
		dst = append(binary.BigEndian.AppendUint32(dst, uint32(len(run))), run...)
	}
	return dst
}
