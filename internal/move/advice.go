package move

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/state"
)

// openError is a side that could not be opened.
type openError struct {
	side  driver.Side
	cause error
}

// Error names the side.
func (e *openError) Error() string { return fmt.Sprintf("open the %s: %v", e.side, e.cause) }

// Unwrap returns the cause.
func (e *openError) Unwrap() error { return e.cause }

// Advice says in one clause what to do about a failure of the run before the same command goes on.
func (m *Move) Advice(err error) string {
	var opening *openError
	var full *state.FullError
	switch {
	case errors.As(err, &full):
		return "make room on the disk of " + full.Dir
	case errors.As(err, &opening):
		return fmt.Sprintf("see that the server of the %s runs, can be reached, has a session free and lets the user in", opening.side)
	}
	m.sides.mu.Lock()
	defer m.sides.mu.Unlock()
	for _, side := range []driver.Side{driver.Source, driver.Target} {
		db := m.sides.opened[side]
		if db == nil {
			continue
		}
		if text := advice(side, db.Dialect.Classify(err)); text != "" {
			return text
		}
	}
	return "mend the reason"
}

func advice(side driver.Side, class driver.Class) string {
	switch class {
	case driver.Lost, driver.Unknown:
		return "see that both servers run and can be reached"
	case driver.Transient:
		return "see that both servers run and have sessions free, and that nobody holds locks for long"
	case driver.Full:
		return fmt.Sprintf("make room on the disks of the server of the %s", side)
	case driver.Refused:
		return fmt.Sprintf("grant the user of the %s what it lacks", side)
	case driver.Missing:
		return "see whether another process has ended or reset this move, or somebody has dropped what it needs"
	case driver.Fenced:
		return "another process has taken this move over: leave it to that one, or see that it has ended"
	}
	return ""
}

// passes reports whether a step may be done again after an error of a call that took that long.
func (m *Move) passes(err error, took time.Duration) bool {
	m.sides.mu.Lock()
	defer m.sides.mu.Unlock()
	for _, db := range m.sides.opened {
		switch c := db.Dialect.Classify(err); {
		case c == driver.Fenced:
			return false
		case c == driver.Lost, c == driver.Unknown, c == driver.Transient && took < long:
			return true
		}
	}
	return false
}

// patiently makes a step wait an error out that passes, as a connection that broke or a server that is being started again: what
// a step does may be done twice. A call that has waited for long itself, for a lock perhaps, is not made again.
func (m *Move) patiently(do func(context.Context) error) func(context.Context) error {
	const tries = 8
	return func(ctx context.Context) error {
		pause := 100 * time.Millisecond
		for try := 1; ; try++ {
			began := time.Now()
			err := do(ctx)
			if err == nil || try == tries || ctx.Err() != nil || !m.passes(err, time.Since(began)) {
				return err
			}
			m.log.Warn("this passes: it is done again", "error", err)
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(pause):
			}
			pause = min(2*pause, 5*time.Second)
		}
	}
}
