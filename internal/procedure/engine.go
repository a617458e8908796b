package procedure

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
)

// Questions says what a run does at a question.
type Questions int

// Wait: the run waits for Answer, with the steps in the background going on. Stop: it ends there with the outcome Waiting.
// GoOn: it answers Yes itself; a question that does not take Yes is a failure of its step.
const (
	Wait Questions = iota
	Stop
	GoOn
)

// Outcome is how a run ended.
type Outcome string

// The outcomes.
const (
	Finished    Outcome = "done"        // every step is done
	Waiting     Outcome = "waiting"     // for an answer
	Failure     Outcome = "failed"      // a step failed
	Interrupted Outcome = "interrupted" // the context ended
)

// ErrBusy says that a story is being run, repeated or reset already.
var ErrBusy = errors.New("the procedure is being run already")

// ErrNoReturn says that a reset came too late.
var ErrNoReturn = errors.New("the point of no return has been passed: nothing can be taken back")

// ErrResetting says that a reset did not come to its end.
var ErrResetting = errors.New("a reset has begun and is not complete; reset again to complete it")

// StepError is the failure of a step.
type StepError struct {
	Step string
	Err  error
}

// Error names the step and the cause.
func (e *StepError) Error() string { return "step " + e.Step + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *StepError) Unwrap() error { return e.Err }

// Engine goes through stories. Run, Repeat and Reset may be called by one goroutine at a time, the others always.
type Engine struct {
	stories []Story
	actions Actions
	journal Journal
	watch   func(Entry)

	noting sync.Mutex // held while an entry is made and told
	broken error      // the journal could not be written: nothing more may happen

	mu       sync.Mutex
	entries  []Entry
	position Position      // folded from the first so many entries
	folded   int           // so many
	changed  chan struct{} // closed, and replaced, with every entry
	busy     bool
}

// New returns an engine that stands where the journal says. Every step needs an action, and every action a step. Watch, if
// not nil, is told each entry after it has been made, one at a time; it must return soon and may call nothing but Position.
func New(ctx context.Context, stories []Story, actions Actions, journal Journal, watch func(Entry)) (*Engine, error) {
	known := map[string]bool{}
	for _, s := range stories {
		if err := s.Valid(); err != nil {
			return nil, err
		}
		for _, step := range s.Steps() {
			if _, ok := actions[step.Name]; !ok {
				return nil, fmt.Errorf("step %s of story %s has no action", step.Name, s.Name)
			}
			known[step.Name] = true
		}
	}
	for name := range actions {
		if !known[name] {
			return nil, fmt.Errorf("action %s belongs to no step", name)
		}
	}
	entries, err := journal.Entries(ctx)
	if err != nil {
		return nil, err
	}
	if watch == nil {
		watch = func(Entry) {}
	}
	return &Engine{
		stories: stories, actions: actions, journal: journal, watch: watch, entries: entries,
		changed: make(chan struct{}),
	}, nil
}

// Position returns where the story stands. It is shared: nobody may change it.
func (e *Engine) Position() Position {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.folded < len(e.entries) || e.folded == 0 {
		e.position, e.folded = Fold(e.stories, e.entries), len(e.entries)
	}
	return e.position
}

// Answer answers the open question of a step: with what its Judge takes, or, where the step offers it, with the name of
// another procedure, into which the story is then turned. Again: an error, as the question is no longer open.
func (e *Engine) Answer(ctx context.Context, step, answer string) error {
	p := e.Position()
	if err := open(p, step); err != nil {
		return err
	}
	s, _ := p.At(step)
	entry := Entry{Step: step, Event: Answered, Detail: answer}
	if _, ok := find(e.stories, answer); ok && s.Step.Turn == Offers {
		if entry.Event = Turned; answer == p.Procedure {
			entry.Event, entry.Detail = Answered, Yes
		}
	}
	if entry.Event == Answered {
		if err := e.judge(ctx, s.Step, entry.Detail); err != nil {
			return err
		}
	}
	e.noting.Lock()
	defer e.noting.Unlock()
	if err := open(e.Position(), step); err != nil { // another answer may have been faster
		return err
	}
	return e.append(entry)
}

// Answers returns the words that a step's question takes, beside what its Judge may take.
func (e *Engine) Answers(step string) []string {
	p := e.Position()
	s, ok := p.At(step)
	words := []string{s.Step.word()}
	if ok && s.Step.Turn == Offers {
		for _, other := range e.stories {
			if other.Name != p.Procedure {
				words = append(words, other.Name)
			}
		}
	}
	return words
}

func open(p Position, step string) error {
	asked, ok := p.Question()
	switch {
	case ok && asked.Step.Name == step:
		return nil
	case ok:
		return fmt.Errorf("the open question is %s, not %s", asked.Step.Name, step)
	}
	return fmt.Errorf("%s asks nothing now", step)
}

func (e *Engine) judge(ctx context.Context, step Step, answer string) error {
	judge := e.actions[step.Name].Judge
	switch {
	case judge != nil:
		return guard(func() error { return judge(ctx, answer) })
	case answer != step.word():
		return fmt.Errorf("%s takes one of these answers: %s", step.Name, strings.Join(e.Answers(step.Name), ", "))
	}
	return nil
}

// note makes an entry in the journal. After an error nothing more is noted, so that nothing more can be done either.
func (e *Engine) note(event Event, step, detail string) error {
	e.noting.Lock()
	defer e.noting.Unlock()
	return e.append(Entry{Step: step, Event: event, Detail: detail})
}

func (e *Engine) append(entry Entry) error {
	if e.broken != nil {
		return e.broken
	}
	made, err := e.journal.Append(context.Background(), entry)
	if err != nil {
		e.broken = fmt.Errorf("note %s %s: %w", entry.Step, entry.Event, err)
		return e.broken
	}
	e.mu.Lock()
	e.entries = append(e.entries, made)
	close(e.changed)
	e.changed = make(chan struct{})
	e.mu.Unlock()
	e.watch(made)
	return nil
}

// news returns a channel that is closed with the next entry.
func (e *Engine) news() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.changed
}

// claim makes this goroutine the one that runs the story.
func (e *Engine) claim() (release func(), err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.busy {
		return nil, ErrBusy
	}
	e.busy = true
	return func() {
		e.mu.Lock()
		e.busy = false
		e.mu.Unlock()
	}, nil
}

// guard calls do and turns a panic into an error that names the place.
func guard(do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the program made a mistake in %s: %v", site(), v)
		}
	}()
	return do()
}

// site returns the function and line that panicked.
func site() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	for thrown := false; ; {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			thrown = true
		case thrown && !strings.HasPrefix(f.Function, "runtime."):
			return fmt.Sprintf("%s, line %d", f.Function[strings.LastIndexByte(f.Function, '/')+1:], f.Line)
		}
		if !more {
			return "an unknown place"
		}
	}
}
