package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/whimbrel/whimbrel/internal/move"
	"github.com/whimbrel/whimbrel/internal/plain"
	"github.com/whimbrel/whimbrel/internal/procedure"
)

// frame bounds a picture; 0 is no bound.
type frame struct{ width, height int }

// picture draws a move as lines: the story, what is under way, and the tables, those that something happens to first where
// not all have room.
func picture(s move.Status, f frame) []string {
	lines := head(s)
	if len(s.Tables) > 0 {
		room := len(s.Tables)
		if f.height > 0 {
			room = min(room, max(f.height-len(lines)-3, 1))
		}
		lines = append(lines, "")
		lines = append(lines, tables(s, room)...)
	}
	for i := range lines {
		lines[i] = cut(lines[i], f.width)
	}
	return lines
}

func head(s move.Status) []string {
	lines := []string{strings.Join(words(s.Procedure, between(s.Source, " → ", s.Target), string(s.State)), "  ")}
	lines = append(lines, story(s))
	for _, p := range s.Phases {
		for _, step := range p.Steps {
			switch step.State {
			case procedure.Underway, procedure.Settled, procedure.Asking, procedure.Reverting, procedure.Halted:
				lines = append(lines, fmt.Sprintf("  %s: %s, %s", step.Name, step.State, move.Span(step.Seconds)))
			case procedure.Broken:
				lines = append(lines, fmt.Sprintf("  %s: %s: %s", step.Name, step.State, step.Error))
			}
		}
	}
	if s.Forecast != nil && !downtimeBegun(s) {
		lines = append(lines, "  the downtime would take "+move.Span(s.Forecast.DowntimeSeconds)+parenthesis(s.Forecast.Why))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Notes)) {
		lines = append(lines, "  "+name+": "+s.Notes[name])
	}
	return lines
}

// downtimeBegun says that a forecast of the downtime has become idle.
func downtimeBegun(s move.Status) bool {
	return slices.ContainsFunc(s.Phases, func(p move.PhaseReport) bool {
		return slices.ContainsFunc(p.Steps, func(x move.StepReport) bool { return x.Name == "stop-application" && x.State != procedure.NotBegun })
	})
}

// story is one line with every phase and a mark of how far it is.
func story(s move.Status) string {
	var parts []string
	for _, p := range s.Phases {
		done, begun := 0, false
		for _, step := range p.Steps {
			if step.State == procedure.Complete {
				done++
			}
			begun = begun || step.State != procedure.NotBegun
		}
		mark := " "
		switch {
		case done == len(p.Steps):
			mark = "✓"
		case begun:
			mark = "▸"
		}
		parts = append(parts, fmt.Sprintf("%s %s %d/%d", mark, p.Name, done, len(p.Steps)))
	}
	return strings.Join(parts, "   ")
}

// tables are a heading, one line a table, and the sum.
func tables(s move.Status, room int) []string {
	rows := slices.Clone(s.Tables)
	hidden := len(rows) - room
	if hidden > 0 {
		slices.SortStableFunc(rows, func(a, b move.TableStatus) int { return cmp.Compare(calm[a.Stage], calm[b.Stage]) })
		rows = rows[:room]
	}
	grid := [][]string{{"table", "class", "stage", "rows", "", "rows/s", "bytes/s", "backlog", "lag", "verdict"}}
	for _, t := range rows {
		stage := string(t.Stage)
		if t.Lossy > 0 {
			stage += fmt.Sprintf(", %s values lost characters", move.Figure(int64(t.Lossy)))
		}
		if t.Error != "" {
			stage += ": " + t.Error
		}
		grid = append(grid, []string{
			t.Name, string(t.Class), stage, move.Figure(t.Rows), share(t.Rows, t.EstimatedRows),
			rate(t.Stage == move.Loading, t.RowsPerSecond), size(t.Stage == move.Loading, t.BytesPerSecond), move.Figure(t.Backlog),
			lag(t.LagSeconds), string(t.Verdict),
		})
	}
	sum := "all"
	if hidden > 0 {
		sum = fmt.Sprintf("all, %d more", hidden)
	}
	t := s.Totals
	grid = append(grid, []string{
		sum, "", "", move.Figure(t.Rows), share(t.Rows, t.EstimatedRows), rate(t.RowsPerSecond > 0, t.RowsPerSecond),
		size(t.BytesPerSecond > 0, t.BytesPerSecond), move.Figure(t.Backlog), lag(t.LagSeconds), "",
	})
	return align(grid)
}

// calm orders stages by how little somebody must look at them.
var calm = map[move.Stage]int{
	move.Stopped: 0, move.Loading: 1, move.Indexing: 2, move.Replaying: 3, move.Verifying: 4, move.Following: 5, move.Waiting: 6,
	move.Drained: 7, move.Proven: 8,
}

// align makes columns; those of figures are flush right.
func align(grid [][]string) []string {
	widths := make([]int, len(grid[0]))
	for _, row := range grid {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	lines := make([]string, len(grid))
	for n, row := range grid {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i >= 3 && i <= 8 {
				b.WriteString(pad + cell + "  ")
			} else {
				b.WriteString(cell + pad + "  ")
			}
		}
		lines[n] = strings.TrimRight(b.String(), " ")
	}
	return lines
}

func share(done, all int64) string {
	if all <= 0 {
		return ""
	}
	return fmt.Sprintf("%d %%", min(done*100/all, 100))
}

func rate(shown bool, perSecond float64) string {
	if !shown {
		return ""
	}
	return move.Figure(int64(perSecond))
}

func size(shown bool, perSecond float64) string {
	if !shown {
		return ""
	}
	return move.Size(int64(perSecond))
}

func lag(seconds float64) string {
	if seconds <= 0 {
		return ""
	}
	return time.Duration(seconds * float64(time.Second)).Round(100 * time.Millisecond).String()
}

// cut shortens a line to a width, and makes what would move the cursor visible.
func cut(line string, width int) string {
	line = plain.Line(line)
	if width <= 0 || utf8.RuneCountInString(line) <= width {
		return line
	}
	return string([]rune(line)[:width-1]) + "…"
}

func words(all ...string) []string {
	return slices.DeleteFunc(all, func(s string) bool { return s == "" })
}

func between(a, by, b string) string {
	if a == "" && b == "" {
		return ""
	}
	return a + by + b
}

func parenthesis(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}
