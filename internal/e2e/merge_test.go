package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/internal/e2e/oracle"
)

// mergedTables are the tables of the old release that the new one has rows of too: each with its name there and its policy.
var mergedTables = []struct{ name, to, wins string }{
	{"setting", "preference", "source-wins"},
	{"menu", "menu", "release-wins"},
	{"price", "price", `'source.changed_by == "system" ? release : source'`},
}

// mergingRelease has a table of its own, dictionary, beside them.
const mergingRelease = `name: inn
version: "2.0"
build: {migrations: build}
transform:
  setting:
    to: preference
    columns:
      code: {from: name}
      amount: {from: amount, type: "decimal(14,4)"}
merge:
`

// A row of these tables: key, value, who changed it, an amount in cents, a day.
type mergedRow struct {
	value, by string
	cents     int
	day       string
}

const nobody = "NULL"

func textOr(s string) string {
	if s == nobody {
		return s
	}
	return "'" + s + "'"
}

func (r mergedRow) insert(table, key string) string {
	return fmt.Sprintf("INSERT INTO %s VALUES ('%s', %s, '%s', %d.%02d, %s);\n", table, key, textOr(r.value), r.by, r.cents/100, r.cents%100, textOr(r.day))
}

func anyRow(rng *rand.Rand, by ...string) mergedRow {
	return mergedRow{
		[]string{nobody, "", "größer", "plain", "it is 5 o''clock"}[rng.IntN(5)], by[rng.IntN(len(by))], rng.IntN(100_000),
		[]string{nobody, "2024-02-29"}[rng.IntN(2)],
	}
}

func mergedKeyOf(rng *rand.Rand) string { return fmt.Sprintf("k%02d", rng.IntN(60)) }

func mergedDDL(table, key, amount string) string {
	return fmt.Sprintf("CREATE TABLE %s (%s varchar(40) NOT NULL PRIMARY KEY, value varchar(100), changed_by varchar(20) NOT NULL, amount %s NOT NULL, day date);\n", table, key, amount)
}

// rowsOfMerged reads such a table, by key.
func rowsOfMerged(t *testing.T, d *oracle.Database, table, key string) map[string]mergedRow {
	t.Helper()
	day := "CASE WHEN day IS NULL THEN 'NULL' ELSE day END"
	if d.Product == "postgres" {
		day = "coalesce(day::text, 'NULL')"
	}
	rows, err := d.Query("SELECT " + key + ", coalesce(value, 'NULL'), changed_by, amount, " + day + " FROM " + table)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]mergedRow{}
	for _, r := range rows {
		cents, err := strconv.Atoi(strings.Replace(fixed(t, r[3], 2), ".", "", 1))
		if err != nil {
			t.Fatal(err)
		}
		all[r[0]] = mergedRow{r[1], r[2], cents, r[4]}
	}
	return all
}

// TestMerge: tables that are the users' and the release's arrive merged, while users write to them, each by its policy, and are proven.
func TestMerge(t *testing.T) {
	for _, test := range mergePairs(t) {
		t.Run(short(test.source)+"/"+short(test.target)+"/"+test.at, func(t *testing.T) {
			from, to := fresh(t, test.source), fresh(t, test.target)
			d, rng := open(t, from), rand.New(rand.NewPCG(seed(t), 9))
			if test.source == "sqlite" {
				script(t, d, "PRAGMA journal_mode=wal;\n")
			}
			shadow := map[string]string{"source": from, "target": to}[test.at]
			text := "release: release\nshadow: {at: " + test.at + "}\n"
			if name := builder(t, shadow); name != "" {
				text = "release: release\nshadow: {at: " + test.at + ", url: " + quoted(hidden(as(t, shadow, name))) + "}\n"
			}
			m := newMove(t, plan{source: from, target: to, uptime: []string{"setting", "price"}, extra: text + "verify: {levels: {setting: full-uptime+changed}}\n"})
			theirs := m.mergingRelease(d, rng)
			users := rand.New(rand.NewPCG(seed(t), 10))
			wrote := m.whileWriting(d, func() string { return changesOfMerged(users) })
			m.merged(d, open(t, to), theirs)
			replayed := int64(0)
			for _, x := range m.report().Tables {
				if replayed += x.Replayed; x.Verdict != "equal" {
					t.Errorf("%+v", x)
				}
			}
			if wrote < 2 || replayed == 0 {
				t.Errorf("written %d times, %d keys replayed", wrote, replayed)
			}
			t.Logf("%d keys replayed, downtime %.1f s", replayed, m.report().DowntimeSeconds)
		})
	}
}

// mergePair is a source, a target, and where the shadow is.
type mergePair struct{ source, target, at string }

// mergePairs are the usual one and some others by the seed.
func mergePairs(t *testing.T) []mergePair {
	usual := mergePair{"mariadb", "postgres", "target"}
	var others []mergePair
	for _, source := range products() {
		for _, target := range products() {
			for _, at := range []string{"source", "target"} {
				if p := (mergePair{source, target, at}); p != usual {
					others = append(others, p)
				}
			}
		}
	}
	rng := rand.New(rand.NewPCG(seed(t), 8))
	rng.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	return append([]mergePair{usual}, others[:4]...)
}

// mergingRelease fills the source's tables and writes the release, whose rows it returns by their table.
func (m *move) mergingRelease(d *oracle.Database, rng *rand.Rand) map[string]map[string]mergedRow {
	m.t.Helper()
	text, build, theirs := mergingRelease, "-- +goose Up\nCREATE TABLE dictionary (word varchar(40) NOT NULL PRIMARY KEY);\nINSERT INTO dictionary VALUES ('inn');\n", map[string]map[string]mergedRow{}
	for _, table := range mergedTables {
		text += "  " + table.name + ": " + table.wins + "\n"
		ddl := mergedDDL(table.name, "name", "decimal(10,2)")
		for range 40 {
			key := mergedKeyOf(rng)
			ddl += fmt.Sprintf("DELETE FROM %s WHERE name = '%s';\n", table.name, key) + anyRow(rng, "system", "ann").insert(table.name, key)
		}
		script(m.t, d, ddl)
		key, amount := "name", "decimal(10,2)"
		if table.to == "preference" {
			key, amount = "code", "decimal(14,4)"
		}
		build += mergedDDL(table.to, key, amount)
		rows := map[string]mergedRow{}
		for range 30 {
			rows[mergedKeyOf(rng)] = anyRow(rng, "release")
		}
		for _, key := range slices.Sorted(maps.Keys(rows)) {
			build += rows[key].insert(table.to, key)
		}
		theirs[table.name] = rows
	}
	if err := os.MkdirAll(filepath.Join(m.dir, "release", "build"), 0o700); err != nil {
		m.t.Fatal(err)
	}
	m.file("release/release.yaml", text)
	m.file("release/build/00001_content.sql", build)
	return theirs
}

// changesOfMerged are a few changes at random: rows come, go, change, and become those of other keys.
func changesOfMerged(rng *rand.Rand) string {
	text := ""
	for range 8 {
		table, key, to := mergedTables[rng.IntN(len(mergedTables))].name, mergedKeyOf(rng), mergedKeyOf(rng)
		switch rng.IntN(4) {
		case 0:
			text += fmt.Sprintf("DELETE FROM %s WHERE name = '%s';\n", table, key) + anyRow(rng, "system", "bob").insert(table, key)
		case 1:
			text += fmt.Sprintf("DELETE FROM %s WHERE name = '%s';\n", table, key)
		case 2:
			text += fmt.Sprintf("UPDATE %s SET changed_by = 'eve', amount = amount + 1 WHERE name = '%s';\n", table, key)
		default:
			if key != to {
				text += fmt.Sprintf("DELETE FROM %s WHERE name = '%s';\nUPDATE %[1]s SET name = '%[2]s' WHERE name = '%s';\n", table, to, key)
			}
		}
	}
	return text
}

// merged fails the test unless the target holds what the policies say of the source's rows and the release's.
func (m *move) merged(source, target *oracle.Database, theirs map[string]map[string]mergedRow) {
	m.t.Helper()
	for _, table := range mergedTables {
		want, key := rowsOfMerged(m.t, source, table.name, "name"), "name"
		both := 0
		for k, r := range theirs[table.name] {
			had, has := want[k]
			if has {
				both++
			}
			if r.value = strings.ReplaceAll(r.value, "''", "'"); !has || table.wins == "release-wins" || table.wins != "source-wins" && had.by == "system" {
				want[k] = r
			}
		}
		if table.to == "preference" {
			key = "code"
		}
		if got := rowsOfMerged(m.t, target, table.to, key); !maps.Equal(got, want) || both == 0 {
			m.t.Errorf("%s, %d keys of both:\n%v\nwant\n%v", table.to, both, got, want)
		}
	}
	if rows, err := target.Query("SELECT word FROM dictionary"); err != nil || len(rows) != 1 || rows[0][0] != "inn" {
		m.t.Errorf("the release's own table: %v, %v", rows, err)
	}
}

// TestWrongMergedTables: what the build makes that can not be merged ends the step in one sentence with the file and line; the step is
// repeatable once it is mended, and a reset leaves nothing at either side.
func TestWrongMergedTables(t *testing.T) {
	from, to := fresh(t, "sqlite"), fresh(t, "postgres")
	d := open(t, from)
	script(t, d, "PRAGMA journal_mode=wal;\n")
	m := newMove(t, plan{source: from, target: to, uptime: []string{"setting"}, extra: "release: release\nshadow: {url: " + quoted(hidden(as(t, to, builder(t, to)))) + "}\n"})
	m.mergingRelease(d, rand.New(rand.NewPCG(seed(t), 9)))
	n := &inn{move: m, source: from, target: to, at: "target"}
	before := n.catalog()
	m.must(3, "run")
	m.must(0, "answer", "accept-findings", "yes")
	at := filepath.Join(m.dir, "release", "build", "00001_content.sql")
	right, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ more, want string }{
		{"ALTER TABLE preference RENAME TO liking", "release.yaml:11:12: merge: the release's build has made no table for the rows of main.setting"},
		{"ALTER TABLE preference ADD more int", "release.yaml:11:12: merge: the release's table inn_shadow.preference has a column more, which main.setting has not in its new form"},
		{"ALTER TABLE preference DROP CONSTRAINT preference_pkey", "inn_shadow.preference has not the key (code)"},
		{"ALTER TABLE preference ALTER amount TYPE bytea USING ''", "inn_shadow.preference has bytes in column amount, of which decimal can not be made"},
		{"ALTER TABLE price ALTER changed_by DROP NOT NULL; INSERT INTO price VALUES ('x', NULL, NULL, 1, NULL)", "column changed_by of the release's table inn_shadow.price, key x, is NULL, which the column does not take"},
		{"CREATE TABLE points (p varchar(40) NOT NULL PRIMARY KEY REFERENCES menu)", "release.yaml:12:9: merge: the foreign key points_p_fkey of the release's table points points to menu"},
		{"CREATE VIEW cheap AS SELECT * FROM price", "release.yaml:13:10: merge: the view cheap of the release is of its table price, which is merged with the users' and comes with the moved tables; let update make"},
	} {
		m.file("release/build/00001_content.sql", string(right)+test.more+";\n")
		if e := m.must(1, "run"); !strings.Contains(e.said, test.want) {
			t.Errorf("%s: %s\nwant %s", test.more, tail(e.said), test.want)
		}
	}
	m.file("release/build/00001_content.sql", string(right))
	m.must(3, "run")
	m.must(0, "reset", "--yes")
	if after := n.catalog(); !slices.Equal(after, before) {
		t.Errorf("after the reset:\n%v\nbefore:\n%v", after, before)
	}
}

// TestMergedTypes: the release's rows come from a table in the words of the target's product, and become cells of the users' types.
func TestMergedTypes(t *testing.T) {
	from, to := fresh(t, "mariadb"), fresh(t, "postgres")
	d := open(t, from)
	script(t, d, "CREATE TABLE kind (id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, yes tinyint(1) NOT NULL, small smallint, name enum('a','b'), "+
		"at datetime(3), seen timestamp(3) NULL, wait time, doc json, f double, raw varbinary(20), code char(36), word varchar(20) UNIQUE);\n"+
		"INSERT INTO kind VALUES (1, 1, 5, 'a', '2024-02-29 10:00:00.125', '2024-02-29 10:00:00.5', '10:00:00', '{\"a\": 1}', 0.1, 'x', '00112233-4455-6677-8899-aabbccddeeff', 'ours');\n")
	m := newMove(t, plan{source: from, target: to, uptime: []string{"kind"}, extra: "release: release\nshadow: {url: " + quoted(hidden(as(t, to, builder(t, to)))) + "}\n"})
	n := &inn{move: m, source: from, target: to, at: "target"}
	n.files(map[string]string{
		"release.yaml": "name: inn\nversion: \"2\"\nbuild: {migrations: build}\nmerge:\n  kind: release-wins\n",
		"build/1_kind.sql": "-- +goose Up\nCREATE TABLE kind (id numeric(20) PRIMARY KEY, yes boolean NOT NULL, small int, name text, at timestamptz, seen timestamptz, wait interval, doc jsonb, " +
			"f real, raw bytea, code uuid, word text UNIQUE);\n" +
			"INSERT INTO kind VALUES (7, true, 300, 'b', '2024-02-29 10:00:00.25+00', '2024-02-29 12:00:00.5+02', '23:59:59', '{\"b\": [1]}', 0.25, '\\x00ff', 'AABBCCDD-4455-6677-8899-aabbccddeeff', 'theirs'), " +
			"(9, false, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);\n",
	})
	m.until("confirm-downtime")
	m.must(0, "run", "--yes")
	there := open(t, to)
	rows, err := there.Query("SELECT id, yes, small, name, at, seen AT TIME ZONE 'UTC', wait, doc, f, encode(raw, 'hex'), code, word FROM kind ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(rows)
	for _, want := range []string{
		"[[1 ", " 5 a 2024-02-29 10:00:00.125", " ours]",
		"[7 ", " 300 b 2024-02-29 10:00:00.25", "2024-02-29 10:00:00.5", "23:59:59", `{"b": [1]}`, " 0.25 00ff aabbccdd-4455-6677-8899-aabbccddeeff theirs]",
		"[9 ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nhas no %q", got, want)
		}
	}
	script(t, there, "INSERT INTO kind (yes) VALUES ("+map[bool]string{true: "true", false: "1"}[strings.Contains(got, "[[1 t")]+");\n")
	if rows, err = there.Query("SELECT max(id) FROM kind"); err != nil || rows[0][0] != "10" {
		t.Errorf("the generator goes on at %v, %v", rows, err)
	}
}

// TestTypesOfMergedTables: a type that the build makes for a merged table goes with it, because the moved table brings its own; one that the release's own tables
// use too is found before the downtime.
func TestTypesOfMergedTables(t *testing.T) {
	from, to := fresh(t, "postgres"), fresh(t, "postgres")
	const enum = "CREATE TYPE mood AS ENUM ('sad', 'glad');\nCREATE TABLE face (id int PRIMARY KEY, mood mood NOT NULL);\n"
	d := open(t, from)
	script(t, d, enum+"INSERT INTO face VALUES (1, 'sad');\n")
	m := newMove(t, plan{source: from, target: to, uptime: []string{"face"}, extra: "release: release\nshadow: {url: " + quoted(hidden(as(t, to, builder(t, to)))) + "}\n"})
	n := &inn{move: m, source: from, target: to, at: "target"}
	n.files(map[string]string{
		"release.yaml":     "name: inn\nversion: \"2\"\nbuild: {migrations: build}\nmerge:\n  face: source-wins\n",
		"build/1_face.sql": "-- +goose Up\n" + enum + "INSERT INTO face VALUES (1, 'glad'), (2, 'glad');\nCREATE TABLE own (mood mood);\n",
	})
	m.must(3, "run")
	m.must(0, "answer", "accept-findings", "yes")
	if e := m.must(1, "run"); !strings.Contains(e.said, "the build has made a type mood, and a type of this name comes with the tables that move") {
		t.Error(tail(e.said))
	}
	n.files(map[string]string{"build/1_face.sql": "-- +goose Up\n" + enum + "INSERT INTO face VALUES (1, 'glad'), (2, 'glad');\nCREATE TABLE own (id int PRIMARY KEY);\n"})
	m.until("confirm-downtime")
	m.must(0, "run", "--yes")
	rows, err := open(t, to).Query("SELECT id, mood::text FROM face ORDER BY id")
	if got := fmt.Sprint(rows); err != nil || got != "[[1 sad] [2 glad]]" {
		t.Errorf("%s, %v", got, err)
	}
}
