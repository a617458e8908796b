package postgres

import (
	"bytes"
	"math"
	"testing"
	"time"
)

// TestDaysAreCountedAsTheCalendarDoes for every day there is a Go time for, and back.
func TestDaysAreCountedAsTheCalendarDoes(t *testing.T) {
	at := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	for d := firstDay; d < beyondDay; d++ {
		want := at.Format(time.DateOnly)
		got := string(appendDate(nil, int32(d)))
		back, ok := parseDate([]byte(got))
		if got != want || !ok || int(back) != d {
			t.Fatalf("day %d is %s, not %s, and %d, %t back", d, got, want, back, ok)
		}
		at = at.AddDate(0, 0, 1)
	}
}

// FuzzMoments: what is written for a number of days or microseconds reads back as that number, and what is read is
// written as it was, but for zeros at the end.
func FuzzMoments(f *testing.F) {
	for _, s := range []string{"infinity", "2024-02-29 23:59:59.999999", "0044-03-15 00:00:00 BC", "24:00:00", "-838:59:59.5", "5874897-12-31"} {
		f.Add([]byte(s), int64(0))
	}
	f.Add([]byte{}, int64(math.MaxInt64))
	f.Add([]byte{}, int64(math.MinInt64+1))
	f.Fuzz(func(t *testing.T, text []byte, n int64) {
		if d, ok := parseDate(text); ok {
			if got := appendDate(nil, d); !bytes.Equal(got, text) {
				t.Fatalf("%q came back as %q", text, got)
			}
		}
		if m, ok := parseMoment(text); ok {
			back, again := parseMoment(appendMoment(nil, m, 6))
			if back != m || !again {
				t.Fatalf("%q is %d, and %d", text, m, back)
			}
		}
		_, _ = parseClock(text)
		_, _ = parseDuration(text)
		_, _ = appendNumeric(nil, text)
		days := int32(n % (lastDay + 1))
		if d, ok := parseDate(appendDate(nil, days)); !ok || d != days {
			t.Fatalf("day %d is %s, and %d back", days, appendDate(nil, days), d)
		}
		micros := n % (lastDay * dayMicros)
		if m, ok := parseMoment(appendMoment(nil, micros, 6)); !ok || m != micros {
			t.Fatalf("%d is %s, and %d back", micros, appendMoment(nil, micros, 6), m)
		}
	})
}
