// Package procedure runs a story: phases and steps as data, done one after another or together, with questions between
// them, and a journal that says what happened. It knows nothing of databases.
//
// A Story says what there is to do; Actions, bound to the steps by name, do it; the Engine goes through the story from
// where the journal says it stands. The journal is only ever appended to, and where a story stands is folded from it
// (Fold), never stored: after kill -9 the same call goes on. A step that was started and is not done is done again, so
// every action must bear to be called twice.
//
// A step with Asks ends only when somebody has answered. A step with Until runs in the background, beside the steps
// that follow, until that later step is done. Reset takes steps back in reverse order, up to the point of no return.
package procedure

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Story is one procedure as data.
type Story struct {
	Name   string
	Does   string // one sentence: what it is for
	Phases []Phase
}

// Phase is a chapter of a story.
type Phase struct {
	Name  string
	Does  string // one sentence
	Order Order
	Steps []Step
}

// Order says how the steps of a phase follow each other.
type Order int

// InTurn: one step after another. Together: all at once; the first failure stops the others.
const (
	InTurn Order = iota
	Together
)

// Step is one thing done or not done. Its name is its identity for ever: the same word in the journal, the log, the
// report and the documents.
type Step struct {
	Name  string
	Does  string // one sentence: what is true afterwards
	Asks  string // the question that must be answered for the step to be done; empty for none
	Takes string // the word that its question takes instead of Yes; empty: Yes
	Until string // a step in the background: it is under way until the step of this name is done
	Turn  Turn
	Way   Way
}

// Turn says what turning a story into another one means to a step.
type Turn int

// Stays: what the step did holds in the other story too. Anew: the step is taken back and done again, because what it
// decides depends on the procedure. Offers: as Anew, and its question may be answered with another procedure's name.
const (
	Stays Turn = iota
	Anew
	Offers
)

// Way says whether there is a way back behind a step.
type Way int

// Back: the step can be taken back. NoReturn: once it is done, neither it nor any step can be taken back.
const (
	Back Way = iota
	NoReturn
)

// Action is what a step does, bound to its name. Every function may be called twice, after a crash in the middle of the
// first call too, and must end when its context does, with any error. Nil functions have nothing to do.
type Action struct {
	// Do makes true what the step's sentence says. A step in the background goes on until its context ends with the cause
	// Over and then returns nil or the context's error; with another cause it is to stop where it is.
	Do func(ctx context.Context) error
	// Undo makes it untrue again, also when Do came only half way or was never called to its end.
	Undo func(ctx context.Context) error
	// Ready returns when a step in the background has come so far that the story may go on beside it. It is called while Do
	// runs, until it has returned nil once.
	Ready func(ctx context.Context) error
	// Tell returns what somebody should know before they answer the step's question. It is called after Do. Nothing as the error
	// says that there is nothing to ask this time: the step is done. Another error is a failure of the step: the question is not asked.
	Tell func(ctx context.Context) (string, error)
	// Judge refuses an answer with an error that says which answers there are; the question then stays. Without Judge the
	// only answer is what the step Takes.
	Judge func(ctx context.Context, answer string) error
	// Heed does what the answer to the step's question asks for, before the step is done. Repeating the step asks anew.
	Heed func(ctx context.Context, answer string) error
}

// Actions are the actions of the steps by name.
type Actions map[string]Action

// Yes is the answer "go on".
const Yes = "yes"

// Nothing says that a step which may ask has nothing to ask.
var Nothing = errors.New("there is nothing to ask")

// Over is the cause that ends the context of a step in the background when the step it runs until is done.
var Over = errors.New("the step that it ran until is done")

// word is what the step's question takes.
func (s Step) word() string {
	if s.Takes != "" {
		return s.Takes
	}
	return Yes
}

// Steps returns the steps of all phases in order.
func (s Story) Steps() []Step {
	var steps []Step
	for _, p := range s.Phases {
		steps = append(steps, p.Steps...)
	}
	return steps
}

// Step returns the step of that name, and false when there is none.
func (s Story) Step(name string) (Step, bool) {
	steps := s.Steps()
	if i := slices.IndexFunc(steps, func(x Step) bool { return x.Name == name }); i >= 0 {
		return steps[i], true
	}
	return Step{}, false
}

// Without returns the story without the named steps, and without the phases that are then empty.
func (s Story) Without(names ...string) Story {
	short := Story{Name: s.Name, Does: s.Does}
	for _, p := range s.Phases {
		p.Steps = slices.DeleteFunc(slices.Clone(p.Steps), func(x Step) bool { return slices.Contains(names, x.Name) })
		if len(p.Steps) > 0 {
			short.Phases = append(short.Phases, p)
		}
	}
	return short
}

// Valid returns an error when the story can not be run: a name that is empty or used twice, a step without a sentence, a
// question among steps that run together, or a step in the background that waits for none of the steps behind its phase.
func (s Story) Valid() error {
	seen := map[string]bool{}
	for i, p := range s.Phases {
		for _, step := range p.Steps {
			switch {
			case step.Name == "" || seen[step.Name]:
				return fmt.Errorf("story %s: step %q of phase %s has no name of its own", s.Name, step.Name, p.Name)
			case step.Does == "":
				return fmt.Errorf("story %s: step %s says nothing", s.Name, step.Name)
			case step.Asks != "" && (p.Order == Together || step.Until != ""):
				return fmt.Errorf("story %s: step %s asks while others run", s.Name, step.Name)
			case step.Until != "" && !Story{Phases: s.Phases[i+1:]}.has(step.Until):
				return fmt.Errorf("story %s: step %s runs until %s, which no later phase has", s.Name, step.Name, step.Until)
			}
			seen[step.Name] = true
		}
	}
	return nil
}

func (s Story) has(name string) bool {
	_, ok := s.Step(name)
	return ok
}
