package postgres

import (
	"bytes"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
)

// steadyTable has a column of each type that passes in binary, arrays and an enum among them.
const steadyTable = `CREATE SCHEMA own; CREATE TYPE own."so so" AS ENUM ('glad', 'so ''so''');
CREATE TABLE steady (id bigint PRIMARY KEY, b boolean, i2 smallint, i4 integer, o oid, n numeric, n2 numeric(30,7), f4 real, f8 double precision, t text,
	v varchar(20), c char(5), c1 char, nm name, by bytea, d date, ti time, ti3 time(3), tz timetz(2), ts timestamp, ts3 timestamp(3), tt timestamptz, u uuid, j json,
	jb jsonb, b3 bit(3), vb bit varying, ip inet, net cidr, mac macaddr, p point, a integer[], a2 numeric(9,2)[], a3 char(3)[], m own."so so");
INSERT INTO steady VALUES
(1, true, -1, 2, 4294967295, 'NaN', -0.0000001, '-0', 'Infinity', E'\\N\t\n', 'ab   ', 'ab', '', 'n', '\x00ff', '0044-03-15 BC', '24:00:00', '10:00:00.5', '10:00:00.25+02',
	'infinity', '2024-02-29 23:59:59.999', '-infinity', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '{"a":  1, "a": 2}', '{"b": [1, 2.50]}', '101', '1', '10.0.0.0/8',
	'10.0.0.0/8', '08:00:2b:01:02:03', '(1.5,-2)', '{{1,2},{NULL,4}}', '{1.50,NULL}', '{ab}', 'so ''so'''),
(2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
	NULL, NULL, NULL, NULL, NULL, NULL),
(3, false, 0, 0, 0, 1e-20, 0, 'NaN', 5e-324, '', '', '', ' ', '', '', '9999-12-31', '00:00:00', '00:00:00', '00:00:00-12', '0001-01-01 00:00:00.000001', '10000-01-01', '1970-01-01 00:00:00+00',
	'00000000-0000-0000-0000-000000000000', '0', 'null', '000', '', '::1', '::/0', 'ffffffffffff', '(0,0)', '{}', '{}', '{"   ",NULL}', 'glad');`

// TestSteadyTypesPassInBinary and arrive as the same images.
func TestSteadyTypesPassInBinary(t *testing.T) {
	p := pair(t, steadyTable)
	p.there.do("TRUNCATE steady")
	from, to := tableOf(t, p.source, "steady"), tableOf(t, p.target, "steady")
	here, there := shapeOf(from), shapeOf(to)
	if f := p.source.Pipe.Format(from, here); f != p.target.Pipe.Format(to, there) || !strings.HasPrefix(f, "postgres copy binary") {
		t.Fatalf("the format is %s", f)
	}
	var wire bytes.Buffer
	out, err := p.source.Pipe.Out(t.Context(), driver.Query{Table: from, Shape: here, Order: driver.KeyOrder}, &wire)
	if err != nil || out != 3 || !strings.HasPrefix(wire.String(), signature) {
		t.Fatalf("%d rows out, %v", out, err)
	}
	to.Bytes = -1 // so that they are frozen too
	in := driver.Intake{Table: to, Shape: there, Range: row.Range{Number: 1}, Epoch: p.epoch, Sole: true}
	if n, err := p.target.Pipe.In(t.Context(), in, bytes.NewReader(wire.Bytes()[:wire.Len()-3]), nil); err == nil {
		t.Errorf("%d rows of a stream that ends in a row", n)
	}
	if n, err := p.target.Pipe.In(t.Context(), in, &wire, nil); err != nil || n != 3 {
		t.Fatalf("%d rows in, %v", n, err)
	}
	const all = "SELECT md5(string_agg(steady::text, '|' ORDER BY id)), md5(string_agg(encode(record_send(steady), 'hex'), '' ORDER BY id)) FROM (SELECT id, b, i2, i4, o, n, n2, f4, f8, t, v, c, c1, nm, by, d, ti, ti3, tz, ts, ts3, tt, u, j, jb, b3, vb, ip, net, mac, p, a, a2, a3 FROM steady) AS steady"
	if a, b := p.app.ask(all), p.there.ask(all); a != b {
		t.Error("the tables differ")
	}
	if a, b := p.app.ask("SELECT string_agg(m::text, ',' ORDER BY id) FROM steady"), p.there.ask("SELECT string_agg(m::text, ',' ORDER BY id) FROM steady"); a != b || a == "" {
		t.Errorf("enums are %s, not %s", b, a)
	}
}

// TestOtherTypesPassAsText: those whose bytes could mean something else at the other server.
func TestOtherTypesPassAsText(t *testing.T) {
	p := pair(t, `CREATE TYPE mood AS ENUM ('glad'); CREATE DOMAIN posint AS integer; CREATE TABLE a (id integer PRIMARY KEY, x interval); CREATE TABLE b (x posint);
		CREATE TABLE c (x mood[]); CREATE TABLE d (x "char"); CREATE TABLE e (x money); CREATE TABLE f (x regclass)`)
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		table := tableOf(t, p.source, name)
		if f := p.source.Pipe.Format(table, shapeOf(table)); !strings.HasPrefix(f, "postgres copy text") {
			t.Errorf("%s: %s", name, f)
		}
	}
}
