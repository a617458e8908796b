package plan

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/whimbrel/whimbrel/schema"
)

// Profile is what an earlier run took: durations to forecast and order the next by.
type Profile struct {
	Sessions int                      `json:"sessions"` // that loaded at one time
	Tables   map[string]TableProfile  `json:"tables"`   // by the source's schema.name
	Steps    map[string]time.Duration `json:"-"`        // of the downtime, those that are no work on tables
}

// TableProfile is what one table took.
type TableProfile struct {
	Rows    int64         `json:"rows"`
	Bytes   int64         `json:"bytes"`
	Load    time.Duration `json:"-"` // the sum of its ranges' durations
	Indexes time.Duration `json:"-"`
	Verify  time.Duration `json:"-"`
}

// The forms in which durations stand in the file: seconds.
type (
	profileJSON struct {
		Sessions int                         `json:"sessions"`
		Tables   map[string]tableProfileJSON `json:"tables"`
		Steps    map[string]float64          `json:"steps_seconds"`
	}
	tableProfileJSON struct {
		Rows    int64   `json:"rows"`
		Bytes   int64   `json:"bytes"`
		Load    float64 `json:"load_seconds"`
		Indexes float64 `json:"index_seconds"`
		Verify  float64 `json:"verify_seconds"`
	}
)

// MarshalJSON writes the profile with durations in seconds.
func (p Profile) MarshalJSON() ([]byte, error) {
	out := profileJSON{Sessions: p.Sessions, Tables: map[string]tableProfileJSON{}, Steps: map[string]float64{}}
	for name, t := range p.Tables {
		out.Tables[name] = tableProfileJSON{t.Rows, t.Bytes, t.Load.Seconds(), t.Indexes.Seconds(), t.Verify.Seconds()}
	}
	for name, d := range p.Steps {
		out.Steps[name] = d.Seconds()
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote. A duration or number below zero is an error.
func (p *Profile) UnmarshalJSON(data []byte) error {
	var in profileJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("read run profile: %w", err)
	}
	out := Profile{Sessions: in.Sessions, Tables: map[string]TableProfile{}, Steps: map[string]time.Duration{}}
	for name, t := range in.Tables {
		if t.Rows < 0 || t.Bytes < 0 || !sensible(t.Load) || !sensible(t.Indexes) || !sensible(t.Verify) {
			return fmt.Errorf("read run profile: table %s has a figure that can not be", name)
		}
		out.Tables[name] = TableProfile{t.Rows, t.Bytes, seconds(t.Load), seconds(t.Indexes), seconds(t.Verify)}
	}
	for name, s := range in.Steps {
		if !sensible(s) {
			return fmt.Errorf("read run profile: step %s has a figure that can not be", name)
		}
		out.Steps[name] = seconds(s)
	}
	*p = out
	return nil
}

// sensible reports whether a figure is a duration in seconds of at most ten years.
func sensible(s float64) bool { return s >= 0 && s < 10*365*86400 }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Forecast is how long load and downtime are likely to take.
type Forecast struct {
	Load     time.Duration `json:"load"`     // of the uptime tables, indexes and verification included
	Downtime time.Duration `json:"downtime"` // from stop-application to start-application, questions left out
	Measured float64       `json:"measured"` // the part of the bytes whose durations come from a profile, 0 to 1
	Unknown  int           `json:"unknown"`  // tables whose size nobody knows: they count as empty
	Longest  schema.Name   `json:"longest"`  // the downtime table that takes longest
}

// Basis says in a clause what the forecast stands on.
func (f Forecast) Basis() string {
	basis := "from sizes alone, at a speed guessed with caution"
	switch {
	case f.Measured > 0.99:
		basis = "from an earlier run"
	case f.Measured > 0:
		basis = fmt.Sprintf("%d %% of the bytes from an earlier run, the rest from sizes", int(f.Measured*100))
	}
	if f.Unknown > 0 {
		basis += fmt.Sprintf("; %d tables of unknown size left out", f.Unknown)
	}
	return basis
}

// What is guessed where nothing was measured, for one session: slower than any pair that was measured on small machines, so
// that the surprise is a pleasant one. Each table costs a little whatever its size.
const (
	guessedLoad   = 8 << 20  // bytes a second
	guessedVerify = 30 << 20 // bytes a second, both sides at one time
	guessedTable  = 50 * time.Millisecond
	guessedDrain  = 10 * time.Second
	guessedSteps  = 15 * time.Second // stop, gate, switch, start
)

// Predict forecasts a run with that many sessions from the tables' sizes and, where a profile knows them, from what they took
// before. Work on tables is spread over the sessions, but no table in the downtime is done sooner than its own longest
// part: one whose rows can not be cut is the work of one session.
func Predict(choices []Choice, p Profile, sessions int) Forecast {
	sessions = max(sessions, 1)
	var f Forecast
	var load, rest, tail time.Duration
	var bytes, measured int64
	for _, c := range choices {
		if c.Class != Uptime && c.Class != Downtime {
			continue
		}
		if c.Table.Bytes < 0 && c.Table.Rows < 0 {
			f.Unknown++
		}
		size := Size(c.Table)
		work, verify, known := cost(c.Table, p)
		bytes += size
		if known {
			measured += size
		}
		if c.Class == Uptime {
			load = plus(load, plus(work, verify))
			continue
		}
		one := plus(work, verify)
		rest = plus(rest, one)
		if Ranges(c.Table) > 1 && c.Table.LiveKey() != nil {
			one /= time.Duration(min(Ranges(c.Table), int64(sessions)))
		}
		if one > tail || f.Longest == (schema.Name{}) {
			tail, f.Longest = one, c.Table.Name
		}
	}
	f.Load = load / time.Duration(sessions)
	f.Downtime = plus(max(rest/time.Duration(sessions), tail), steps(p, len(Of(choices, Uptime))))
	if bytes > 0 {
		f.Measured = float64(measured) / float64(bytes)
	}
	return f
}

// cost is what one session needs for a table: its load with indexes, and its verification. Known says that it was measured.
func cost(t *schema.Table, p Profile) (work, verify time.Duration, known bool) {
	size := Size(t)
	if was, found := p.Tables[t.Name.String()]; found && was.Load > 0 {
		grown := 1.0
		if was.Bytes > 0 && size > 0 {
			grown = float64(size) / float64(was.Bytes)
		}
		scale := func(d time.Duration) time.Duration { return time.Duration(min(float64(d)*grown, math.MaxInt64/2)) }
		return scale(plus(was.Load, was.Indexes)), scale(was.Verify), true
	}
	return guessedTable + seconds(float64(size)/guessedLoad), seconds(float64(size) / guessedVerify), false
}

// plus adds durations; what is longer than can be said is as long as can be said.
func plus(a, b time.Duration) time.Duration {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// steps is what the downtime's other steps take.
func steps(p Profile, uptime int) time.Duration {
	var sum time.Duration
	for _, d := range p.Steps {
		sum = plus(sum, d)
	}
	if sum > 0 {
		return sum
	}
	if uptime > 0 {
		return guessedSteps + guessedDrain
	}
	return guessedSteps
}
