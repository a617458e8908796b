package procedure

import "time"

// State is how far a step, or a whole story, has come.
type State string

// The states. A step that was under way when the process died is Begun. Waiting: a question is open. Settled is of steps
// in the background: ready, and still under way.
const (
	NotBegun  State = "not begun"
	Underway  State = "under way"
	Settled   State = "settled"
	Asking    State = "waiting"
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
	Times   int
	Error   string // of the last attempt, if it failed
	Told    string // with the question
	Asked   time.Time
	Answer  string // empty until answered
}
