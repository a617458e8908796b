package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/whimbrel/whimbrel/internal/e2e/oracle"
)

// newRelease gives the table of guests another form in each way that one row can.
const newRelease = `name: inn
version: "2.0"
transform:
  guest:
    to: visitor
    where: state != "gone"
    drop: [state, first, last]
    columns:
      number: {from: id, type: int}
      full_name: {value: 'first + " " + (last ?? "-")', type: text(100), nullable: false}
      amount: {from: amount, type: "decimal(14,4)"}
      doubled: {value: 'rounded(amount * 2, 0)', type: "decimal(20,0)"}
      since: {from: day, type: timestamp(0)}
      origin: {value: '"old"', type: text(10)}
`

// guests is the table of the old release, with some rows.
func guests(rows int) string {
	text := "CREATE TABLE guest (id int NOT NULL PRIMARY KEY, first varchar(40) NOT NULL, last varchar(40), amount decimal(10,2) NOT NULL, day date, state varchar(10) NOT NULL);\n"
	for i := range rows {
		text += guest(i, i)
	}
	return text
}

func guest(id, n int) string {
	last, day := fmt.Sprintf("'Nr. %d'", n), fmt.Sprintf("'2024-%02d-%02d'", n%12+1, n%28+1)
	if n%7 == 0 {
		last, day = "NULL", "NULL"
	}
	return fmt.Sprintf("INSERT INTO guest VALUES (%d, 'Gäst%d', %s, %d.%02d, %s, '%s');\n", id, n, last, n-50, n%100, day, []string{"here", "gone", "paid"}[n%3])
}

// changesOf are a few changes at random: guests come, go, change and become other ones.
func changesOf(rng *rand.Rand) string {
	text := ""
	for range 10 {
		id, n := rng.IntN(400), rng.IntN(1000)
		switch rng.IntN(4) {
		case 0:
			text += fmt.Sprintf("DELETE FROM guest WHERE id = %d;\n", id) + guest(id, n)
		case 1:
			text += fmt.Sprintf("DELETE FROM guest WHERE id = %d;\n", id)
		case 2:
			text += fmt.Sprintf("UPDATE guest SET state = '%s', amount = %d.25 WHERE id = %d;\n", []string{"here", "gone"}[n%2], n, id)
		default:
			text += fmt.Sprintf("DELETE FROM guest WHERE id = %d;\nUPDATE guest SET id = %d, last = NULL WHERE id = %d;\n", 1000+n, 1000+n, id)
		}
	}
	return text
}

// turnedGuests are the source's rows in their new form, made by this test's own arithmetic.
func turnedGuests(t *testing.T, d *oracle.Database) []string {
	t.Helper()
	rows, err := d.Query("SELECT id, first, CASE WHEN last IS NULL THEN '-' ELSE last END, amount, CASE WHEN day IS NULL THEN 'none' ELSE day END, state FROM guest")
	if d.Product == "postgres" {
		rows, err = d.Query("SELECT id, first, coalesce(last, '-'), amount, coalesce(day::text, 'none'), state FROM guest")
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range rows {
		if r[5] == "gone" {
			continue
		}
		since := r[4]
		if since != "none" {
			since += " 00:00:00"
		}
		all = append(all, strings.Join([]string{r[0], r[1] + " " + r[2], fixed(t, r[3], 4), doubled(t, r[3]), since, "old"}, "|"))
	}
	slices.Sort(all)
	return all
}

// fixed writes a number with so many digits, as products do not all.
func fixed(t *testing.T, number string, digits int) string {
	t.Helper()
	f, err := strconv.ParseFloat(number, 64)
	if err != nil {
		t.Fatal(err)
	}
	return strconv.FormatFloat(f, 'f', digits, 64)
}

// doubled is twice a number of two digits after the point, rounded half away from zero.
func doubled(t *testing.T, number string) string {
	t.Helper()
	cents, err := strconv.Atoi(strings.Replace(fixed(t, number, 2), ".", "", 1))
	if err != nil {
		t.Fatal(err)
	}
	half := 50
	if cents < 0 {
		half = -50
	}
	return strconv.Itoa((2*cents + half) / 100)
}

func visitors(t *testing.T, d *oracle.Database) []string {
	t.Helper()
	since := "CASE WHEN since IS NULL THEN 'none' ELSE since END"
	if d.Product == "postgres" {
		since = "coalesce(since::text, 'none')"
	}
	rows, err := d.Query("SELECT number, full_name, amount, doubled, " + since + ", origin FROM visitor")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range rows {
		all = append(all, strings.Join([]string{r[0], r[1], fixed(t, r[2], 4), fixed(t, r[3], 0), strings.TrimSuffix(r[4], ".000000"), r[5]}, "|"))
	}
	slices.Sort(all)
	return all
}

// whileWriting runs a move to its end, while an application gives the source one script after the other until the downtime is
// asked for, and returns how many of them went through.
func (m *move) whileWriting(source *oracle.Database, script func() string) (wrote int) {
	m.t.Helper()
	done := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if source.Script(script()) == nil {
				wrote++
			}
		}
	})
	m.until("confirm-downtime")
	close(done)
	writing.Wait()
	m.must(0, "run", "--yes")
	return wrote
}

// TestRelease: a table arrives in the form of the new release while the application writes to it, and is proven.
func TestRelease(t *testing.T) {
	for _, source := range products() {
		for _, target := range products() {
			t.Run(short(source)+"/"+short(target), func(t *testing.T) {
				from, to := fresh(t, source), fresh(t, target)
				d := open(t, from)
				if source == "sqlite" {
					script(t, d, "PRAGMA journal_mode=wal;\n")
				}
				script(t, d, guests(300))
				m := newMove(t, plan{source: from, target: to, uptime: []string{"guest"}, extra: "release: release\nverify: {levels: {guest: full-uptime+changed}}\n"})
				if err := os.Mkdir(filepath.Join(m.dir, "release"), 0o700); err != nil {
					t.Fatal(err)
				}
				m.file("release/release.yaml", newRelease)
				rng := rand.New(rand.NewPCG(seed(t), 5))
				wrote := m.whileWriting(d, func() string { return changesOf(rng) })
				got, want := visitors(t, open(t, to)), turnedGuests(t, d)
				if !slices.Equal(got, want) {
					t.Errorf("%d visitors and not %d:\n%s\nwant\n%s", len(got), len(want), strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
				x := m.report().Tables[0]
				if x.Verdict != "equal" || x.Replayed == 0 || wrote < 2 {
					t.Errorf("written %d times: %+v", wrote, x)
				}
				t.Logf("moved guest to visitor: %d rows, %d keys replayed, downtime %.1f s", len(got), x.Replayed, m.report().DowntimeSeconds)
			})
		}
	}
}
