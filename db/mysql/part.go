package mysql

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// Part removes the rows that share the values of a unique key, and notes them for repair (HAZARDS C18).
func (d *database) Part(ctx context.Context, t *schema.Table, shape schema.Shape, k *schema.Key, epoch int64) (removed int64, err error) {
	err = d.work.with(ctx, func(s *session) error {
		if err := d.ensureLane(ctx, s, t, stampLane); err != nil {
			return err
		}
		return s.transact(ctx, func() (err error) {
			removed, err = d.part(ctx, s, t, shape, k, epoch)
			return err
		})
	})
	if err != nil {
		return 0, fmt.Errorf("part the rows of %s that share %s: %w", t.Name, k.Name, d.mend(ctx, t, err))
	}
	return removed, nil
}

func (d *database) part(ctx context.Context, s *session, t *schema.Table, shape schema.Shape, k *schema.Key, epoch int64) (int64, error) {
	if err := d.fence(ctx, s, epoch); err != nil {
		return 0, err
	}
	stamp, err := s.row(ctx, "SELECT number FROM "+d.own("lane")+" WHERE table_no = ? AND lane = ? LOCK IN SHARE MODE", int64(t.Number), int64(stampLane))
	if err != nil {
		return 0, err
	}
	shared := quote(d.schema) + "." + quote("whimbrel_part_"+strconv.Itoa(t.Number))
	var columns, set, group, on []string
	for i, p := range k.Columns {
		v := "v" + strconv.Itoa(i)
		columns = append(columns, part(p, "t")+" AS "+v)
		set = append(set, part(p, "t")+" IS NOT NULL")
		group = append(group, v)
		on = append(on, part(p, "t")+" = s."+v)
	}
	name := d.dialect.name(t.Name)
	for _, sql := range []string{
		"DROP TEMPORARY TABLE IF EXISTS " + shared,
		"CREATE TEMPORARY TABLE " + shared + " ENGINE=InnoDB AS SELECT " + strings.Join(columns, ", ") + " FROM " + name + " t WHERE " +
			strings.Join(set, " AND ") + " GROUP BY " + strings.Join(group, ", ") + " HAVING COUNT(*) > 1",
	} {
		if err := s.run(ctx, sql); err != nil {
			return 0, err
		}
	}
	some, err := s.row(ctx, "SELECT COUNT(*) FROM "+shared)
	if err != nil || some[0] == "0" {
		return 0, err
	}
	keys := row.NewBatch(len(shape.Key))
	join := name + " t JOIN " + shared + " s ON " + strings.Join(on, " AND ")
	if err := d.collect(ctx, s, t, shape, "SELECT DISTINCT %s FROM "+join, keys); err != nil {
		return 0, err
	}
	removed, err := s.exec(ctx, "DELETE t FROM "+join)
	if err == nil && removed != int64(keys.Len()) {
		err = fmt.Errorf("%d rows share a value and %d were removed", keys.Len(), removed)
	}
	if err == nil {
		err = d.put(ctx, s, driver.Repairs, t, keys, stamp[0])
	}
	return removed, err
}
