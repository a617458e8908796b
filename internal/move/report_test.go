package move

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/internal/procedure"
)

func exampleReport() Report {
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	return Report{
		Run: "abc", Procedure: "standard", State: procedure.Broken, Source: "mariadb db1/shop", Target: "postgres db2/shop", Started: began,
		Seconds: 3725, DowntimeSeconds: 61, Error: "no room",
		Phases: []PhaseReport{{Name: "check", Seconds: 2, Steps: []StepReport{
			{Name: "inspect", State: procedure.Complete, Seconds: 1.26, Times: 1}, {Name: "classify", State: procedure.NotBegun},
		}}},
		Tables: []TableReport{
			{
				Name: "shop.orders", Class: Uptime, Rows: 1234567, Bytes: 98_765_432, LoadSeconds: 12, Captured: 10, Replayed: 9,
				VerifyLevel: FullUptimeChanged, Verdict: Different, Keys: []string{"1", "2"}, MoreKeys: true,
			},
			{Name: "shop.log", Class: Downtime, Rows: -1, Bytes: -1, VerifyLevel: Sample, Verdict: NotCompared, Error: "key 7 does not fit"},
		},
		Findings: []FindingReport{{Rule: "zero-date", Level: "loss", Table: "shop.orders", Column: "at", Message: "cannot hold the zero date", Detail: "3 rows", Do: "Mend them."}},
		Consents: []Consent{{Step: "accept-findings", At: began, Answer: "yes"}},
	}
}

const exampleText = `standard, run abc: failed
mariadb db1/shop → postgres db2/shop
began 2026-03-01 12:00:00, took 1 h 2 min, downtime 1 min 1 s
failed: no room

step            state  time
check: inspect  done   1.3 s

table        class     rows       size   load   captured  replayed  proven by            verdict
shop.orders  uptime    1,234,567  99 MB  12 s   10        9         full-uptime+changed  different
shop.log     downtime  ?          ?      0.0 s  0         0         sample               not compared

shop.orders differs at: 1, 2 and more

shop.log is stopped: key 7 does not fit

findings
  [loss] shop.orders.at cannot hold the zero date 3 rows
      Mend them.

accept-findings was answered at 2026-03-01 12:00:00: yes
`

func TestAReportReads(t *testing.T) {
	var b strings.Builder
	if err := exampleReport().WriteText(&b); err != nil {
		t.Fatal(err)
	}
	if b.String() != exampleText {
		t.Errorf("the report reads\n%s\nwant\n%s", b.String(), exampleText)
	}
}

func TestAReportHasItsKeys(t *testing.T) {
	text, err := json.Marshal(exampleReport())
	if err != nil {
		t.Fatal(err)
	}
	var r map[string]any
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"procedure", "started", "ended", "phases", "downtime_seconds", "tables", "findings"} {
		if _, ok := r[key]; !ok {
			t.Errorf("the report has no %s", key)
		}
	}
	table, ok := r["tables"].([]any)[0].(map[string]any)
	if !ok {
		t.Fatal("a table is not an object")
	}
	for _, key := range []string{"class", "reason", "rows", "bytes", "load_seconds", "captured", "replayed", "verify_level", "verdict", "keys"} {
		if _, ok := table[key]; !ok {
			t.Errorf("a table has no %s", key)
		}
	}
}

func TestFiguresForPeople(t *testing.T) {
	for got, want := range map[string]string{
		Figure(0): "0", Figure(999): "999", Figure(1000): "1,000", Figure(12345678): "12,345,678", Figure(-1): "?",
		Size(0): "0 B", Size(999): "999 B", Size(1000): "1.0 kB", Size(999_999): "1.0 MB", Size(12_400_000): "12 MB", Size(-1): "?",
		Span(0): "0.0 s", Span(9.94): "9.9 s", Span(9.96): "10 s", Span(59.4): "59 s", Span(59.6): "1 min 0 s", Span(3599.7): "1 h 0 min", Span(90061): "25 h 1 min",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
