package move

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/internal/check"
	"github.com/whimbrel/whimbrel/internal/procedure"
	"github.com/whimbrel/whimbrel/internal/release"
	"github.com/whimbrel/whimbrel/internal/transform"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// TestLostCharactersAreListed: by the check, which asks for consent, and then as they come and go in the load and in the replay.
func TestLostCharactersAreListed(t *testing.T) {
	s := newShop(t, DowntimeOptimized().Name)
	reading := transform.Reading{Charset: "utf-8", Stored: "iso-8859-1", Lossy: transform.Replace}
	s.config.New = &release.Release{Rules: []transform.Rule{
		{Place: "release.yaml:3", Table: "people", Columns: []transform.Column{{Place: "release.yaml:5", Name: "name", From: "name", Reading: reading}}},
		{Place: "release.yaml:7", Table: "notes", Reading: reading},
	}}
	write := func(do func(x *memory.Tx) error) {
		t.Helper()
		x := s.source.Begin()
		if err := errors.Join(do(x), x.Commit()); err != nil {
			t.Fatal(err)
		}
	}
	change := func(table schema.Name, id, name string) {
		t.Helper()
		write(func(x *memory.Tx) error { return x.Update(table, row.MakeKey([]byte(id)), []byte(id), []byte(name)) })
	}
	change(people, "5", "Gr\u00f6\u00dfe") // bytes of latin1, which are no UTF-8
	change(people, "6", "Gr\u00c3\u00b6\u00c3\u009fe")
	change(people, "7", "\u00ff")
	change(notes, "9", "\u00e4")
	m := s.open(t)
	found, err := m.Check(t.Context())
	asks := check.Asks(found)
	if err != nil || check.Forbids(found) || len(asks) != 2 || asks[0].Detail != "1 row, key 9" || asks[1].Detail != "2 rows, such as key 5; 7" || asks[1].Rule != "replaced" {
		t.Errorf("%v: %+v", err, asks)
	}
	list := func(want string) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(s.config.Dir, ".whimbrel", lossyFile))
		if got := strings.ReplaceAll(strings.TrimSpace(string(text)), "\t", " "); err != nil || got != want {
			t.Errorf("the list is\n%s\n%v; want\n%s", got, err, want)
		}
	}
	list("main.notes name 9\nmain.people name 5\nmain.people name 7")
	for _, step := range []string{"accept-findings", "confirm-downtime"} {
		if outcome, err := m.Run(t.Context(), procedure.Stop); err != nil || outcome != procedure.Waiting {
			t.Fatalf("%s, %v", outcome, err)
		}
		list("main.notes name 9\nmain.people name 5\nmain.people name 7")
		if step == "confirm-downtime" {
			change(people, "7", "mended")
			change(people, "8", "\u00fe\u00fe")
			change(notes, "10", "\u00e5") // a downtime table, which nobody records
			write(func(x *memory.Tx) error { return x.Delete(people, row.MakeKey([]byte("5"))) })
			write(func(x *memory.Tx) error { return x.Insert(people, []byte("500"), []byte("\u00fe")) })
		}
		if err := m.Answer(t.Context(), step, procedure.Yes); err != nil {
			t.Fatal(err)
		}
	}
	if outcome, err := m.Run(t.Context(), procedure.GoOn); err != nil || outcome != procedure.Finished {
		t.Fatalf("%s, %v", outcome, err)
	}
	list("main.notes name 10\nmain.notes name 9\nmain.people name 500\nmain.people name 8")
	for i, want := range []string{"Größe", "mended", "��"} {
		if got := s.target.Rows(people); string(got.Cell(5+i, 1)) != want {
			t.Errorf("row %s holds %q and not %q", got.Cell(5+i, 0), got.Cell(5+i, 1), want)
		}
	}
	r, err := m.Report(t.Context())
	if err != nil || len(r.Tables[1].Lossy) != 1 || r.Tables[1].Lossy[0].Values != 2 || strings.Join(r.Tables[1].Lossy[0].Keys, " ") != "500 8" || r.Tables[1].Verdict != Equal {
		t.Errorf("%v: %+v", err, r.Tables)
	}
	var told strings.Builder
	if err := r.WriteText(&told); err != nil || !strings.Contains(told.String(), "main.people: 2 values of name lost characters, at 500; 8; lossy.tsv has every key") {
		t.Errorf("%v\n%s", err, told.String())
	}
	status, err := m.Status(t.Context())
	if err != nil || status.Tables[0].Lossy+status.Tables[1].Lossy != 4 {
		t.Errorf("%v: %+v", err, status.Tables)
	}
}

// TestALongListEnds: so many values of one table are listed, and that there are more is said.
func TestALongListEnds(t *testing.T) {
	s := newShop(t, Standard().Name)
	m := s.open(t)
	usual := mostLossy
	mostLossy = 1000
	defer func() { mostLossy = usual }()
	lost := make([]transform.LostValue, 0, 100)
	for n := range mostLossy + 5 {
		lost = append(lost, transform.LostValue{Column: "name", Key: strings.Repeat("k", 1+n%7) + string(rune(0x4e00+n%20000)) + string(rune(0x4e00+n/20000))})
		if len(lost) == cap(lost) || n == mostLossy+4 {
			if err := m.losses.Read(t.Context(), people, lost); err != nil {
				t.Fatal(err)
			}
			lost = lost[:0]
		}
	}
	m.losses.forget() // another process
	if n := m.losses.of(t.Context(), people.String()); n != mostLossy {
		t.Errorf("%d values are listed", n)
	}
	reports, err := m.losses.reports(t.Context())
	if r := reports[people.String()]; err != nil || len(r) != 1 || r[0].Values != mostLossy || len(r[0].Keys) != 100 || !r[0].More {
		t.Errorf("%v %d", err, len(r))
	}
}
