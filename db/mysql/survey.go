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

// probe is one thing that a survey counts in a column.
type probe struct {
	column string
	what   driver.FactKind
	where  string // the condition of rows it holds for; empty for Longest
	longs  string // Longest: the length
}

// probes lists what to look for in a table.
func probes(t *schema.Table) (all []probe) {
	for _, c := range t.Columns {
		q := quote(c.Name)
		add := func(what driver.FactKind, where string) {
			all = append(all, probe{column: c.Name, what: what, where: where})
		}
		word := baseWord(c.Type.Raw)
		switch c.Type.Kind {
		case row.Text, row.JSON:
			if len(c.Type.Values) > 0 {
				if !c.Type.Set {
					add(driver.BadEnum, q+"+0 = 0")
				}
				continue
			}
			all = append(all, probe{column: c.Name, what: driver.Longest, longs: "OCTET_LENGTH(CONVERT(" + q + " USING utf8mb4))"})
			add(driver.NulInText, "LOCATE(CHAR(0 USING utf8mb4), "+q+") > 0")
			if strings.HasPrefix(c.Type.Charset, "utf8") {
				raw := "CAST(" + q + " AS BINARY)"
				add(driver.BadText, "CAST(CONVERT("+raw+" USING "+c.Type.Charset+") AS BINARY) <> "+raw)
			}
			if c.Type.Kind == row.JSON && word != "json" {
				add(driver.NotJSON, "NOT JSON_VALID("+q+")")
			}
		case row.Bytes:
			all = append(all, probe{column: c.Name, what: driver.Longest, longs: "OCTET_LENGTH(" + q + ")"})
		case row.Date, row.Timestamp, row.Instant:
			add(driver.ZeroDate, "(MONTH("+q+") = 0 OR DAYOFMONTH("+q+") = 0)")
			if word != "timestamp" {
				add(driver.BeforeYear1, "(YEAR("+q+") = 0 AND MONTH("+q+") > 0 AND DAYOFMONTH("+q+") > 0)")
			}
		case row.Duration:
			add(driver.BeyondHours, "("+q+" < '00:00:00' OR "+q+" >= '24:00:00')")
		}
	}
	return all
}

// Survey counts everything in one scan, without locks, and then fetches a key for each thing found.
func (d *database) Survey(ctx context.Context, t *schema.Table) ([]driver.Fact, error) {
	all := probes(t)
	if len(all) == 0 {
		return nil, nil
	}
	columns := make([]string, len(all))
	for i, p := range all {
		if columns[i] = "COALESCE(SUM(" + p.where + "), 0)"; p.longs != "" {
			columns[i] = "COALESCE(MAX(" + p.longs + "), 0)"
		}
	}
	var facts []driver.Fact
	err := d.work.with(ctx, func(s *session) error {
		line, err := s.row(ctx, "SELECT "+strings.Join(columns, ", ")+" FROM "+d.dialect.name(t.Name))
		if err != nil {
			return err
		}
		for i, p := range all {
			n, _ := strconv.ParseInt(line[i], 10, 64)
			if n == 0 {
				continue
			}
			f := driver.Fact{Column: p.column, What: p.what, Count: n}
			where := p.where
			if p.longs != "" {
				f.Count, f.Value = 1, n
				where = p.longs + " = " + line[i]
				if n < 1<<20 { // not worth another scan
					facts = append(facts, f)
					continue
				}
			}
			if f.Sample, err = d.sample(ctx, s, t, where); err != nil {
				return err
			}
			facts = append(facts, f)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("survey %s: %w", t.Name, err)
	}
	return facts, nil
}

func (d *database) sample(ctx context.Context, s *session, t *schema.Table, where string) (string, error) {
	key := t.LiveKey()
	if key == nil {
		return "", nil
	}
	lines, err := s.rows(ctx, "SELECT "+list(key.Names())+" FROM "+d.dialect.name(t.Name)+" WHERE "+where+" LIMIT 1")
	if err != nil || len(lines) == 0 {
		return "", err
	}
	return strings.Join(lines[0], ", "), nil
}
