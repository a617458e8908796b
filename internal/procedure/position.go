package procedure

import (
	"slices"
	"time"
)

// State is how far a step, or a whole story, has come.
type State string

// The states. A step that was under way when its process died is still Underway. Settled is of steps in the background:
// ready, and still under way.
const (
	NotBegun  State = "not begun"
	Underway  State = "under way"
	Settled   State = "settled"
	Asking    State = "waiting"
	Halted    State = "stopped" // told to stop, and to be done again
	Broken    State = "failed"
	Complete  State = "done"
	Reverting State = "being reset"
)

// Position is where a story stands, folded from the journal.
type Position struct {
	Procedure string // empty when none has begun
	State     State
	Begun     time.Time
	Ended     time.Time      // zero until every step is done
	Steps     []StepPosition // of the story, in order

	all map[string]*StepPosition // of every story
}

// StepPosition is where a step stands.
type StepPosition struct {
	Step    Step
	Phase   string
	State   State
	Begun   time.Time     // the first time
	Ended   time.Time     // zero until done
	Spent   time.Duration // in all attempts that came to an end
	Running time.Time     // when the attempt under way began; zero when there is none
	Times   int           // how often it was begun
	Error   string        // of the last attempt, if it failed
	Told    string        // with the question
	Asked   time.Time
	Answer  string // empty until answered

	first int64 // the journal's number of its first begin
	dirty bool  // there may be something to take back
	ready bool
	stale bool // a turn wants it taken back
}

// Fold returns where a story stands. It looks at nothing but its arguments.
func Fold(stories []Story, entries []Entry) Position {
	p := Position{State: NotBegun, all: map[string]*StepPosition{}}
	for _, s := range stories {
		for _, phase := range s.Phases {
			for _, step := range phase.Steps {
				if p.all[step.Name] == nil {
					p.all[step.Name] = &StepPosition{Step: step, Phase: phase.Name, State: NotBegun}
				}
			}
		}
	}
	resetting := false
	for _, e := range entries {
		switch e.Event {
		case Begun:
			p.Procedure, p.Begun = e.Detail, e.At
		case Turned:
			p.Procedure = e.Detail
			p.turn(stories)
		case Ended:
			p.Ended = e.At
		case Resetting:
			resetting = true
		case WasReset:
			return Fold(stories, entries[slices.Index(entries, e)+1:])
		default:
			if s := p.all[e.Step]; s != nil {
				s.fold(e)
			}
		}
	}
	p.finish(stories, resetting)
	return p
}

// fold takes one entry about this step.
func (s *StepPosition) fold(e Entry) {
	switch e.Event {
	case Started:
		if s.first == 0 {
			s.first, s.Begun = e.Seq, e.At
		}
		s.State, s.dirty, s.Running, s.Error, s.Ended = Underway, true, e.At, "", time.Time{}
		s.Times++
	case Ready:
		s.ready = true
	case Asked:
		s.State, s.Told, s.Asked, s.Answer = Asking, e.Detail, e.At, ""
	case Answered:
		s.Answer = e.Detail
	case Done:
		s.State, s.Ended = Complete, e.At
		s.rest(e.At)
	case Failed:
		s.State, s.Error = Broken, e.Detail
		s.rest(e.At)
	case Stopped:
		if s.State == Underway {
			s.State = Halted
		}
		s.rest(e.At)
	case Repeated:
		s.State, s.Answer, s.Told, s.Ended, s.Error, s.ready = NotBegun, "", "", time.Time{}, "", false
	case Undoing:
		s.State, s.Answer, s.Told, s.Ended, s.Error, s.ready = Reverting, "", "", time.Time{}, "", false
	case Undone:
		s.State, s.dirty, s.stale = NotBegun, false, false
	}
}

// Between is the time between two readings of the machine's clock, none where it was set back meanwhile.
func Between(began, ended time.Time) time.Duration { return max(ended.Sub(began), 0) }

// rest ends the attempt under way.
func (s *StepPosition) rest(at time.Time) {
	if !s.Running.IsZero() {
		s.Spent += Between(s.Running, at)
	}
	s.Running = time.Time{}
}

// turn marks what has to be taken back before the other story can go on.
func (p *Position) turn(stories []Story) {
	story, _ := find(stories, p.Procedure)
	for _, s := range p.all {
		if s.dirty && (s.Step.Turn != Stays || !story.has(s.Step.Name)) {
			s.stale = true
		}
	}
}

// finish lists the story's own steps and says how the whole stands.
func (p *Position) finish(stories []Story, resetting bool) {
	story, ok := find(stories, p.Procedure)
	if !ok {
		return
	}
	p.State = Halted
	for _, step := range story.Steps() {
		s := p.all[step.Name]
		if s.ready && s.State == Underway {
			s.State = Settled
		}
		if s.State == Asking && s.Answer != "" {
			s.State = Underway
		}
		p.Steps = append(p.Steps, *s)
		if !s.stale && weight[s.State] > weight[p.State] {
			p.State = s.State
		}
	}
	switch {
	case resetting:
		p.State = Reverting
	case !p.Ended.IsZero():
		p.State = Complete
	}
}

// weight orders the states of steps by what they say about the whole story.
var weight = map[State]int{Halted: 1, Underway: 2, Reverting: 2, Asking: 3, Broken: 4}

// Question returns the step whose question is open, and false when none is.
func (p Position) Question() (StepPosition, bool) {
	if p.State == Reverting || p.State == Complete {
		return StepPosition{}, false
	}
	i := slices.IndexFunc(p.Steps, func(s StepPosition) bool { return s.State == Asking && !s.stale })
	if i < 0 {
		return StepPosition{}, false
	}
	return p.Steps[i], true
}

// At returns where the step of that name stands, in whatever story it is.
func (p Position) At(name string) (StepPosition, bool) {
	s := p.all[name]
	if s == nil {
		return StepPosition{}, false
	}
	return *s, true
}

// Current returns the first step that is not done and does not run in the background, and false at the end.
func (p Position) Current() (StepPosition, bool) {
	for _, s := range p.Steps {
		if s.State != Complete && s.Step.Until == "" {
			return s, true
		}
	}
	return StepPosition{}, false
}

// Final reports that the point of no return lies behind.
func (p Position) Final() bool {
	for _, s := range p.all {
		if s.Step.Way == NoReturn && s.State == Complete {
			return true
		}
	}
	return false
}

// reverse returns the steps that want to be taken back, the last begun first.
func (p Position) reverse(wants func(*StepPosition) bool) []Step {
	var found []*StepPosition
	for _, s := range p.all {
		if s.dirty && wants(s) {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b *StepPosition) int { return int(b.first - a.first) })
	steps := make([]Step, len(found))
	for i, s := range found {
		steps[i] = s.Step
	}
	return steps
}

func find(stories []Story, name string) (Story, bool) {
	i := slices.IndexFunc(stories, func(s Story) bool { return s.Name == name })
	if i < 0 {
		return Story{}, false
	}
	return stories[i], true
}
