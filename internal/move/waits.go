package move

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/load"
)

// A step may have to wait for others at the source: for a lock, or until every transaction has ended that is older than what the step has
// done. The application may stand still meanwhile, and nobody but its operator can say who is to leave: the program says for whom it waits.

// tellAfter is after how long those who are waited for are named; then after twice as long, at least once a minute. A variable for tests.
var tellAfter = 5 * time.Second

// long is how long a call has waited itself when it is not made again; a variable for tests.
var long = 10 * time.Second

// waits are what this process waits for, by what is to be done: for people who look at the move.
type waits struct {
	mu sync.Mutex
	of map[string]string
}

func (w *waits) note(what, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of == nil {
		w.of = map[string]string{}
	}
	w.of[what] = text
}

func (w *waits) forget(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.of, what)
}

// notes are a copy, nil when nobody is waited for.
func (w *waits) notes() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.of) == 0 {
		return nil
	}
	return maps.Clone(w.of)
}

// outwait does what waits for others at the source, again while its errors pass, and names them from time to time. Who has waited for as
// long as the operator has said does not wait again. An error that others are the reason of names them too.
func (m *Move) outwait(ctx context.Context, source *driver.Database, what string, do func() error) error {
	naming, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { m.nameOthers(naming, source, what) })
	defer wg.Wait()
	defer stop()
	var waited error
	began := time.Now()
	_, err := load.Patiently(ctx, source.Dialect, source.Dialect, func() (struct{}, error) {
		tried := time.Now()
		err := do()
		if time.Since(tried) >= long && time.Since(began) >= m.config.Wait.Settled && source.Dialect.Classify(err) == driver.Transient {
			waited, err = err, nil // it was patient itself
		}
		return struct{}{}, err
	})
	if err == nil {
		err = waited
	}
	if err == nil {
		return nil
	}
	return m.blame(ctx, source, time.Since(began), fmt.Errorf("%s: %w", what, err))
}

// nameOthers says who is in the way until the context ends.
func (m *Move) nameOthers(ctx context.Context, source *driver.Database, what string) {
	defer m.waits.forget(what)
	began := time.Now()
	for pause := tellAfter; ; pause = min(2*pause, time.Minute) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		waited := time.Since(began).Round(time.Second)
		sessions, err := others(ctx, source, waited)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			sessions = "who is in the way is not known: " + err.Error()
		case sessions == "":
			sessions = "nobody is seen in the way"
		default:
			sessions = "in the way may be " + sessions
		}
		m.waits.note(what, fmt.Sprintf("for %s so far; %s", waited, sessions))
		m.log.Warn("this takes long at the source", "what", what, "for", waited, "why", sessions)
	}
}

// blame adds to an error that others are the reason of who has been in the way all the while, where that can be seen.
func (m *Move) blame(ctx context.Context, source *driver.Database, waited time.Duration, err error) error {
	if source.Dialect.Classify(err) != driver.Transient {
		return err
	}
	sessions, failed := others(ctx, source, waited)
	if failed != nil || sessions == "" {
		return err
	}
	return fmt.Errorf("%w; in the way may be %s: end what does not end by itself", err, sessions)
}

// others are up to five who may be in the way of somebody who has waited that long at the source, the oldest first.
func others(ctx context.Context, source *driver.Database, waited time.Duration) (string, error) {
	writers, err := source.Gate.Writers(ctx)
	if err != nil {
		return "", err
	}
	const second = time.Second // ages may be in whole seconds
	writers = slices.DeleteFunc(writers, func(w driver.Writer) bool {
		return w.Since >= 0 && w.Since+second < waited
	})
	slices.SortStableFunc(writers, func(a, b driver.Writer) int { return cmp.Compare(b.Since, a.Since) })
	var names []string
	for _, w := range writers[:min(len(writers), 5)] {
		names = append(names, describe(w))
	}
	return strings.Join(names, ", "), nil
}

// describe names one session, in a clause.
func describe(w driver.Writer) string {
	text := "session " + w.Session
	if w.User != "" {
		text += " of " + w.User
	}
	var about []string
	for _, part := range []string{w.Program, w.State} {
		if part != "" {
			about = append(about, part)
		}
	}
	if w.Since >= 0 {
		about = append(about, "for "+w.Since.Round(time.Second).String())
	}
	if len(about) == 0 {
		return text
	}
	return text + " (" + strings.Join(about, ", ") + ")"
}
