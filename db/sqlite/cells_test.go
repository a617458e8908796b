package sqlite

import (
	"testing"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/row"
)

// TestCells: what SQLite holds, as the cell of each kind, or the clause that refuses it.
func TestCells(t *testing.T) {
	app := connectApp(t, ":memory:")
	defer app.Close()
	for _, c := range []struct {
		cell   row.Kind
		raw    string // the declared type
		stored string // SQL
		want   string
	}{
		{row.Int, "INT", "1", "1"},
		{row.Int, "INT", "'1'", isNoInteger},
		{row.Int, "INT", "1.5", isNoInteger},
		{row.Int, "UNSIGNED_TEXT(20)", "'18446744073709551615'", "18446744073709551615"},
		{row.Int, "UNSIGNED_TEXT(20)", "'01'", isNoInteger},
		{row.Bool, "BOOLEAN", "1", "1"},
		{row.Bool, "BOOLEAN", "2", isNoBool},
		{row.Bool, "BOOLEAN", "'true'", isNoBool},
		{row.Decimal, "DECIMAL(10,2)", "10.5", "10.50"},
		{row.Decimal, "DECIMAL(10,2)", "10", "10.00"},
		{row.Decimal, "DECIMAL(10,2)", "0.1 + 0.2", isTooFine},
		{row.Decimal, "DECIMAL(10,2)", "'abc'", isNoNumber},
		{row.Decimal, "DECIMAL_TEXT(30,2)", "'123456789012345678901234567.10'", "123456789012345678901234567.10"},
		{row.Decimal, "NUMERIC", "1e20", "100000000000000000000.00"},
		{row.Decimal, "DECIMAL_TEXT", "'NaN'", "NaN"},
		{row.Float64, "REAL", "0.1", "0.1"},
		{row.Float64, "REAL", "x'2d30'", "-0"},
		{row.Float64, "REAL", "-9e999", "-Infinity"},
		{row.Float64, "REAL", "'x'", isNoNumber},
		{row.Float32, "FLOAT4", "0.1", "0.1"},
		{row.Float32, "FLOAT4", "0.123456789012", isTooPrecise},
		{row.Text, "TEXT", "'a' || char(0)", "a\x00"},
		{row.Text, "TEXT", "x'61'", isNoText},
		{row.Text, "TEXT", "CAST(x'ff' AS TEXT)", isNotUTF8},
		{row.Text, "STRING", "12", "12"},
		{row.Bytes, "BLOB", "x''", ""},
		{row.Bytes, "BLOB", "'a'", isNoBlob},
		{row.Date, "DATE", "'2024-02-29'", "2024-02-29"},
		{row.Date, "DATE", "'2024-02-29 00:00'", "2024-02-29"},
		{row.Date, "DATE", "'2024-02-29 10:00'", isNoDate},
		{row.Date, "DATE", "'0000-00-00'", "0000-00-00"},
		{row.Date, "DATE", "1700000000", isNoDate},
		{row.Date, "DATE", "'24-1-1'", isNoDate},
		{row.Date, "DATE", "'10000-01-01'", "10000-01-01"},
		{row.Timestamp, "DATETIME", "'2024-01-01T10:00:00.500Z'", "2024-01-01 10:00:00.5"},
		{row.Timestamp, "DATETIME", "'2024-01-01'", "2024-01-01 00:00:00"},
		{row.Timestamp, "DATETIME", "'2024-01-01 10:00'", "2024-01-01 10:00:00"},
		{row.Timestamp, "DATETIME", "'2024-01-01 01:00:00.25+02:00'", "2023-12-31 23:00:00.25"},
		{row.Instant, "TIMESTAMPTZ", "'2024-12-31 23:30:00-01:00'", "2025-01-01 00:30:00"},
		{row.Timestamp, "DATETIME", "'2024-01-01 10:00:00.1234567'", isTooFineSec},
		{row.Timestamp, "DATETIME", "'2024-01-01 10:00:00.1000000'", "2024-01-01 10:00:00.1"},
		{row.Timestamp, "DATETIME", "'2024-01-01 25:00:00'", isNoDate},
		{row.Timestamp, "DATETIME", "'now'", isNoDate},
		{row.Time, "TIME", "'24:00:00'", "24:00:00"},
		{row.Time, "TIME", "'24:00:01'", isNoDate},
		{row.Duration, "DURATION_TEXT", "'-838:59:59.10'", "-838:59:59.1"},
		{row.UUID, "UUID", "'0190163D-8694-739B-AEA5-966C26F8AD90'", "0190163d-8694-739b-aea5-966c26f8ad90"},
		{row.UUID, "UUID", "'x'", isNoUUID},
		{row.JSON, "JSON", "1", "1"},
		{row.JSON, "JSON", "'{ }'", "{ }"},
		{row.Bits, "BITS_TEXT", "'0101'", "0101"},
		{row.Bits, "BITS_TEXT", "'2'", isNoBits},
		{row.Other, "", "'it''s'", "'it''s'"},
		{row.Other, "", "1.0", "1.0"},
		{row.Other, "", "x'00'", "x'00'"},
		{row.Other, "OTHER_TEXT", "'{1,2}'", "{1,2}"},
	} {
		col := column{cell: c.cell, scale: 2, digits: 6, affinity: affinityOf(c.raw), literal: c.cell == row.Other && c.raw == ""}
		st, _, err := app.Prepare("SELECT " + c.stored)
		if err != nil {
			t.Fatal(err)
		}
		st.Step()
		var v value
		v.scan(st, 0)
		out, why := col.appendCell([]byte("before"), &v)
		got := string(out)[len("before"):] + why
		if got != c.want || string(out[:6]) != "before" {
			t.Errorf("%s %s of %s: %q, want %q", c.cell, c.raw, c.stored, got, c.want)
		}
		col.key = true
		if out, why := col.appendCell(nil, &v); why == "" && v.class == sqlite3.TEXT && !col.literal && string(out) != string(v.b) {
			t.Errorf("%s: a key that is written %q became %q", c.cell, v.b, out)
		}
		st.Close()
	}
	lenient := column{cell: row.Date, lenient: true}
	if _, why := lenient.appendCell(nil, &value{class: sqlite3.TEXT, b: []byte("0000-00-00")}); why != isZeroDate {
		t.Errorf("a zero date that was accepted as lost: %q", why)
	}
}
