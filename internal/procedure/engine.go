package procedure

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
