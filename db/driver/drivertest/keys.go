package drivertest

import (
	"strconv"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// keyed are the kinds that rows may be known by.
var keyed = []Sample{
	{"int", int64Type, plain("0", "-9223372036854775808", "9223372036854775807")},
	{"uint64", unsigned(64), plain("0", "18446744073709551615")},
	{"decimal", decimal(38, 10), plain("0.0000000000", "-0.0000000001", "9999999999999999999999999999.9999999999", "1.5000000000")},
	{"text", shortText, plain("", " ", "a", "A", "a ", "it's", `back\slash`, `double"quote`, "tab\t", "line\n", "ü", "u\u0308", "😀", "%", "{x,y}")},
	{"bytes", schema.Type{Kind: row.Bytes, Length: 40}, plain("", "\x00", "\x00\x00", "a", "a\x00", "A", "\xff\xfe", `\'"`)},
	{"date", schema.Type{Kind: row.Date}, plain("1000-01-01", "1970-01-01", "9999-12-31")},
	{"time", timed(row.Time, 6), plain("00:00:00", "00:00:00.000001", "23:59:59.999999")},
	{"timestamp", timed(row.Timestamp, 6), plain("1970-01-01 00:00:00", "1999-12-31 23:59:59.999999", "2024-03-31 02:30:00.5")},
	{"instant", timed(row.Instant, 6), plain("1970-01-02 00:00:00", "1999-12-31 23:59:59.999999", "2024-03-31 02:30:00.5")},
	{"uuid", schema.Type{Kind: row.UUID}, plain("00000000-0000-0000-0000-000000000000", "0190163d-8694-739b-aea5-966c26f8ad90")},
	{"bool", schema.Type{Kind: row.Bool}, plain("0", "1")},
	{"bits", schema.Type{Kind: row.Bits, Length: 10, Fixed: true}, plain("0000000000", "1111111111", "0000000001")},
}

// keyCases runs a row's life with a key of every kind.
func (cfg Config) keyCases() []oneCase {
	var cases []oneCase
	for _, k := range keyed {
		cases = append(cases,
			oneCase{k.Name + "AtTheSource", capturing, func(s *scene) { s.sourceKeys(k) }},
			oneCase{k.Name + "AtTheTarget", applying, func(s *scene) { s.targetKeys(k) }})
	}
	return cases
}

func (k Sample) design() design {
	return design{
		name: "keyed", columns: []column{{name: "note", typ: longText, null: true}, {name: "k", typ: k.Type}}, key: []string{"k"},
	}
}

func (k Sample) rows(kept []Cell) (rows [][]string, keys []string) {
	for i, c := range kept {
		rows, keys = append(rows, []string{strconv.Itoa(i), c.Text}), append(keys, c.Text)
	}
	return rows, keys
}

func (s *scene) sourceKeys(k Sample) {
	d := s.open(driver.Source)
	kept, refused := carried(d, k, true)
	if refused != "" {
		s.Logf("not carried as a key, and said so: %s", refused)
		return
	}
	rows, keys := k.rows(kept)
	c := s.captured(k.design())
	s.insert(c.t, rows...)
	s.same("rows", s.rows(d, c.t, c.shape), lines(rows...))
	c.changes("inserted", keys, rows...)
	s.halves(d, c.t, c.shape, s.keysInOrder(d, c.t, c.shape))
	for _, one := range rows {
		got := s.all(d, driver.Query{Table: c.t, Shape: c.shape, Keys: batch(1, one[1:])})
		s.same("by key", got, lines(one))
	}
	s.do(func(x Tx) error { return x.Delete(c.t, key(keys[0])) })
	c.changes("deleted", keys[:1])
	s.do(func(x Tx) error { return x.Update(c.t, key(keys[1]), cells("changed", keys[0])...) })
	c.changes("changed", keys[:2], []string{"changed", keys[0]})
}

func (s *scene) targetKeys(k Sample) {
	d := s.open(driver.Target)
	kept, refused := carried(d, k, true)
	if refused != "" {
		s.Logf("not carried as a key, and said so: %s", refused)
		return
	}
	rows, keys := k.rows(kept)
	r := s.ready(k.design(), rows...)
	r.want("loaded", rows...)
	all := s.keysInOrder(d, r.t, r.shape)
	if len(all) != len(rows) {
		s.Fatalf("%d keys of %d", len(all), len(rows))
	}
	s.halves(d, r.t, r.shape, all)
	delta := r.delta(keys, rows[1:]...)
	delta.Note = true
	s.check(d.Applier.Apply(s.ctx, delta))
	r.want("the first removed", rows[1:]...)
	r.listed(driver.Changed, keys...)
	r.apply(keys[:2], []string{"new", keys[0]})
	r.want("applied again", append([][]string{{"new", keys[0]}}, rows[2:]...)...)
}
