package mysql

import (
	"context"
	"fmt"
	"strconv"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// lists are the durable sets of keys.
type lists struct{ *database }

// Peek counts the stamp up, which waits for the applies in flight, and reads the keys that stood before.
func (d lists) Peek(ctx context.Context, l driver.List, t *schema.Table, most int, keys *row.Batch) (stamp int64, err error) {
	err = d.control.with(ctx, func(s *session) error {
		some, err := s.rows(ctx, "SELECT 1 FROM "+d.own("list")+" WHERE list = ? AND table_no = ? LIMIT 1", string(l), int64(t.Number))
		if err != nil || len(some) == 0 {
			return err
		}
		if stamp, err = d.nextStamp(ctx, s, t); err != nil {
			return err
		}
		runs, err := s.rows(ctx, "SELECT key_run FROM "+d.own("list")+" WHERE list = ? AND table_no = ? AND stamp <= ? LIMIT ?",
			string(l), int64(t.Number), stamp, int64(most))
		if err != nil {
			return err
		}
		for _, run := range runs {
			if err := keys.AppendRow([]byte(run[0])); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("read the %s list of %s: %w", l, t.Name, err)
	}
	return stamp, nil
}

func (d lists) nextStamp(ctx context.Context, s *session, t *schema.Table) (stamp int64, err error) {
	if err := d.ensureLane(ctx, s, t, stampLane); err != nil {
		return 0, err
	}
	err = s.transact(ctx, func() error {
		if err := s.run(ctx, "UPDATE "+d.own("lane")+" SET number = number + 1 WHERE table_no = ? AND lane = ?", int64(t.Number), int64(stampLane)); err != nil {
			return err
		}
		now, err := s.row(ctx, "SELECT number - 1 FROM "+d.own("lane")+" WHERE table_no = ? AND lane = ?", int64(t.Number), int64(stampLane))
		if err != nil {
			return err
		}
		stamp, err = strconv.ParseInt(now[0], 10, 64)
		return err
	})
	return stamp, err
}

// Put puts keys on a list in a transaction of its own that holds the stamp as Apply does.
func (d lists) Put(ctx context.Context, l driver.List, t *schema.Table, keys *row.Batch) error {
	err := d.control.with(ctx, func(s *session) error {
		if err := d.ensureLane(ctx, s, t, stampLane); err != nil {
			return err
		}
		return s.transact(ctx, func() error {
			const held = " WHERE table_no = ? AND lane = ? LOCK IN SHARE MODE"
			stamp, err := s.row(ctx, "SELECT number FROM "+d.own("lane")+held, int64(t.Number), int64(stampLane))
			if err != nil {
				return err
			}
			return d.put(ctx, s, l, t, keys, stamp[0])
		})
	})
	if err != nil {
		return fmt.Errorf("put keys on the %s list of %s: %w", l, t.Name, err)
	}
	return nil
}

// Listed looks for keys on a list.
func (d lists) Listed(ctx context.Context, l driver.List, t *schema.Table, keys, listed *row.Batch) error {
	err := d.control.with(ctx, func(s *session) error {
		for first := 0; first < keys.Len(); first += 1000 {
			sql := appendDigests([]byte("SELECT key_run FROM "+d.own("list")+" WHERE list = ? AND table_no = ? AND digest IN "), keys, first)
			runs, err := s.rows(ctx, string(sql), string(l), int64(t.Number))
			if err != nil {
				return err
			}
			for _, run := range runs {
				if err := listed.AppendRow([]byte(run[0])); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for keys on the %s list of %s: %w", l, t.Name, err)
	}
	return nil
}

// appendDigests appends the digests of up to a thousand keys in parentheses.
func appendDigests(sql []byte, keys *row.Batch, first int) []byte {
	sql = append(sql, '(')
	for i := first; i < min(first+1000, keys.Len()); i++ {
		if i > first {
			sql = append(sql, ',')
		}
		digest := row.Seed(0).Digest(keys.Row(i))
		sql = appendLiteral(sql, schema.Type{Kind: row.Bytes}, digest[:])
	}
	return append(sql, ')')
}

// Strike removes keys that were not put there again after the stamp.
func (d lists) Strike(ctx context.Context, l driver.List, t *schema.Table, keys *row.Batch, stamp int64) error {
	err := d.control.with(ctx, func(s *session) error { return d.strike(ctx, s, l, t, keys, stamp) })
	if err != nil {
		return fmt.Errorf("strike keys off the %s list of %s: %w", l, t.Name, err)
	}
	return nil
}

func (d *database) strike(ctx context.Context, s *session, l driver.List, t *schema.Table, keys *row.Batch, stamp int64) error {
	for first := 0; first < keys.Len(); first += 1000 {
		sql := appendDigests([]byte("DELETE FROM "+d.own("list")+" WHERE list = ? AND table_no = ? AND stamp <= ? AND digest IN "), keys, first)
		if err := s.run(ctx, string(sql), string(l), int64(t.Number), stamp); err != nil {
			return err
		}
	}
	return nil
}

// put adds keys to a list with the stamp of now, which the transaction has locked.
func (d *database) put(ctx context.Context, s *session, l driver.List, t *schema.Table, keys *row.Batch, stamp string) error {
	const tail = " ON DUPLICATE KEY UPDATE stamp = VALUES(stamp)"
	head := "INSERT INTO " + d.own("list") + " VALUES "
	for first := 0; first < keys.Len(); {
		sql := []byte(head)
		for i := first; first < keys.Len() && first-i < 1000 && len(sql) < 1<<20; first++ {
			if first > i {
				sql = append(sql, ',')
			}
			run := keys.Row(first)
			digest := row.Seed(0).Digest(run)
			sql = append(append(append(sql, "('"...), l...), "',"...)
			sql = append(strconv.AppendInt(sql, int64(t.Number), 10), ',')
			sql = append(appendLiteral(sql, schema.Type{Kind: row.Bytes}, digest[:]), ',')
			sql = append(appendLiteral(sql, schema.Type{Kind: row.Bytes}, run), ',')
			sql = append(append(sql, stamp...), ')')
		}
		if err := s.run(ctx, string(append(sql, tail...))); err != nil {
			return err
		}
	}
	return nil
}

// Count returns how many keys a list holds.
func (d lists) Count(ctx context.Context, l driver.List, t *schema.Table) (n int64, err error) {
	err = d.control.with(ctx, func(s *session) error {
		one, err := s.row(ctx, "SELECT COUNT(*) FROM "+d.own("list")+" WHERE list = ? AND table_no = ?", string(l), int64(t.Number))
		if err == nil {
			n, err = strconv.ParseInt(one[0], 10, 64)
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("count the %s list of %s: %w", l, t.Name, err)
	}
	return n, nil
}
