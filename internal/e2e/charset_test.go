package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// readAnew takes text for what it is: UTF-8 that was written into columns of latin1, and bytes of cp437.
const readAnew = `name: inn
version: "2.0"
transform:
  guest:
    columns:
      name: {from: name, charset: utf-8, declared: latin1, lossy: replace}
      card: {from: card, charset: cp437}
      slip: {from: slip, charset: gbk, type: text(40), lossy: replace}
`

// TestTextIsReadAnew: a source whose text is not what it says is moved live, and what is no character is replaced and listed.
func TestTextIsReadAnew(t *testing.T) {
	for _, target := range products() {
		t.Run(short(target), func(t *testing.T) {
			from, to := fresh(t, "mariadb"), fresh(t, target)
			app := dial(t, from)
			app.do("CREATE TABLE guest (id int NOT NULL PRIMARY KEY, name varchar(60) CHARACTER SET latin1 NOT NULL, card varbinary(60), slip blob)")
			add := func(id int, name, card, slip string) {
				app.do("INSERT INTO guest VALUES (%d, CAST(X'%x' AS CHAR CHARACTER SET binary), X'%x', X'%x')", id, name, card, slip)
			}
			for i := range 50 {
				add(i, "Größe 日本 €", "M\x81ller", "\xd6\xd0\xb9\xfa")
			}
			app.do("UPDATE guest SET name = CAST(X'4772f6' AS CHAR CHARACTER SET binary) WHERE id = 7")
			app.do("UPDATE guest SET slip = X'd6d081' WHERE id = 8")
			m := newMove(t, plan{source: from, target: to, uptime: []string{"guest"}, extra: "release: release\n"})
			if err := os.Mkdir(filepath.Join(m.dir, "release"), 0o700); err != nil {
				t.Fatal(err)
			}
			m.file("release/release.yaml", readAnew)
			e := m.must(0, "check")
			for _, want := range []string{"guest.name holds bytes that are no character", "(1 row, key 7)", "(1 row, key 8)", "[loss]"} {
				if !strings.Contains(e.out, want) {
					t.Errorf("check does not say %q:\n%s", want, e.out)
				}
			}
			m.until("confirm-downtime")
			add(100, "ü\xff", "\x84", "x")
			app.do("UPDATE guest SET name = 'sound' WHERE id = 7")
			m.must(0, "run", "--yes")
			there := open(t, to)
			rows, err := there.Query("SELECT id, name, card, slip FROM guest WHERE id IN (1, 7, 8, 100) ORDER BY id")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range rows {
				got = append(got, strings.Join(r, "|"))
			}
			if want := []string{"1|Größe 日本 €|Müller|中国", "7|sound|Müller|中国", "8|Größe 日本 €|Müller|中�", "100|ü�|ä|x"}; !slices.Equal(got, want) {
				t.Errorf("%q", got)
			}
			list := read(t, m, ".whimbrel/lossy.tsv")
			if lines := strings.Split(strings.TrimSpace(list), "\n"); len(lines) != 2 || !strings.HasSuffix(lines[0], "\tname\t100") || !strings.HasSuffix(lines[1], "\tslip\t8") {
				t.Errorf("the list is\n%s", list)
			}
			if x := m.report().Tables[0]; x.Verdict != "equal" {
				t.Errorf("%+v", x)
			}
		})
	}
}
