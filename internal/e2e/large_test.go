package e2e

import (
	"fmt"
	"testing"
)

// large is a table whose values have up to 64 MiB, in each product's words; fingerprint says of each row what can be said
// without carrying it: its lengths, and what stands at its beginning, in its middle and at its end.
var large = map[string]struct{ create, change, fingerprint string }{
	"postgres": {
		`CREATE TABLE large (id int PRIMARY KEY, body bytea, note text);
INSERT INTO large SELECT i, decode(repeat('00ff5c0a0d09' || lpad(to_hex(i), 4, '0'), 8388608), 'hex'), NULL FROM generate_series(1, 3) i;
INSERT INTO large SELECT i, NULL, repeat(E'a\tb\\c\nü' || i, 7000000) FROM generate_series(4, 5) i;
INSERT INTO large SELECT i, decode('00', 'hex'), '' FROM generate_series(6, 500) i;`,
		`UPDATE large SET body = decode(repeat('ee00000000000000', 8388608), 'hex') WHERE id = 2;
UPDATE large SET note = repeat('12345678', 8388608) WHERE id = 5;`,
		`SELECT id, coalesce(length(body), -1), coalesce(encode(substr(body, 1, 8) || substr(body, 33554433, 8) || substr(body, 67108857, 8), 'hex'), '-'),
 coalesce(octet_length(note), -1), coalesce(encode(convert_to(left(note, 8) || right(note, 8), 'UTF8'), 'hex'), '-') FROM large WHERE id < 10 ORDER BY id`,
	},
	"mariadb": {
		`CREATE TABLE large (id int PRIMARY KEY, body longblob, note longtext CHARACTER SET utf8mb4);
INSERT INTO large SELECT seq, REPEAT(UNHEX(CONCAT('00ff5c0a0d09', LPAD(HEX(seq), 4, '0'))), 8388608), NULL FROM seq_1_to_3;
INSERT INTO large SELECT seq, NULL, REPEAT(CONCAT('a\tb\\c\nü', seq), 7000000) FROM seq_4_to_5;
INSERT INTO large SELECT seq, UNHEX('00'), '' FROM seq_6_to_500;`,
		`UPDATE large SET body = REPEAT(UNHEX('ee00000000000000'), 8388608) WHERE id = 2;
UPDATE large SET note = REPEAT('12345678', 8388608) WHERE id = 5;`,
		`SELECT id, IFNULL(LENGTH(body), -1), LOWER(IFNULL(HEX(CONCAT(SUBSTR(body, 1, 8), SUBSTR(body, 33554433, 8), SUBSTR(body, 67108857, 8))), '-')),
 IFNULL(LENGTH(note), -1), LOWER(IFNULL(HEX(CONCAT(LEFT(note, 8), RIGHT(note, 8))), '-')) FROM large WHERE id < 10 ORDER BY id`,
	},
	"sqlite": {
		`PRAGMA journal_mode=wal;
CREATE TABLE large (id int NOT NULL PRIMARY KEY, body blob, note text);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 3) INSERT INTO large SELECT i, zeroblob(67108864 - 8) || CAST('end' || i AS blob), NULL FROM n;
UPDATE large SET body = CAST(body AS blob);
WITH RECURSIVE n(i) AS (SELECT 4 UNION ALL SELECT i+1 FROM n WHERE i < 5) INSERT INTO large SELECT i, NULL, replace(hex(zeroblob(4194304)), '00', 'a' || char(9) || 'b\c' || char(10) || char(252) || i) FROM n;
WITH RECURSIVE n(i) AS (SELECT 6 UNION ALL SELECT i+1 FROM n WHERE i < 500) INSERT INTO large SELECT i, x'00', '' FROM n;`,
		`UPDATE large SET note = replace(hex(zeroblob(4194304)), '00', '1234567890123456') WHERE id = 5;`,
		`SELECT id, coalesce(length(body), -1), CASE WHEN body IS NULL THEN '-' ELSE lower(hex(substr(body, 1, 8)) || hex(substr(body, 33554433, 8)) || hex(substr(body, 67108857, 8))) END,
 coalesce(length(CAST(note AS blob)), -1), CASE WHEN note IS NULL THEN '-' ELSE lower(hex(substr(note, 1, 8)) || hex(substr(note, -8))) END FROM large WHERE id < 10 ORDER BY id`,
	},
}

// TestLargeValues moves values of 64 MiB, and replays them, within the memory that a process may have.
func TestLargeValues(t *testing.T) {
	for i, source := range products() {
		target := products()[(i+1)%3]
		t.Run(short(source)+"/"+short(target), func(t *testing.T) {
			l := &live{t: t, source: fresh(t, source), target: fresh(t, target)}
			from, to := open(t, l.source), open(t, l.target)
			if err := from.Script(large[source].create + "\n"); err != nil {
				t.Fatal(err)
			}
			p := plan{source: l.source, target: l.target, uptime: []string{"large"}}
			if source == "sqlite" { // a table with blobs is moved in the downtime there
				p.uptime = nil
			}
			m := newMove(t, p)
			m.until("confirm-downtime")
			if err := from.Script(large[source].change + "\n"); err != nil {
				t.Fatal(err)
			}
			m.must(0, "run", "--yes")
			a, err := from.Query(large[source].fingerprint)
			if err != nil {
				t.Fatal(err)
			}
			b, err := to.Query(large[target].fingerprint)
			if err != nil {
				t.Fatal(err)
			}
			if len(a) != 9 || fmt.Sprint(a) != fmt.Sprint(b) {
				t.Errorf("different:\n%v\n%v", a, b)
			}
			for _, x := range m.report().Tables {
				if x.Verdict != "equal" || x.Rows != 500 {
					t.Errorf("%s has %d rows and is %q", x.Name, x.Rows, x.Verdict)
				}
			}
			if m.largest > mebibytes<<20 {
				t.Errorf("a process had %d MiB resident", m.largest>>20)
			}
			t.Logf("moved values of 64 MiB with %d MiB", m.largest>>20)
		})
	}
}
