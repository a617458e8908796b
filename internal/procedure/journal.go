package procedure

import (
	"context"
	"time"
)

// Journal is the append-only list of what happened.
type Journal interface {
	// Append makes one entry last and returns it with its number and time. When it returns an error, the entry may or may
	// not be there; the caller does nothing more. Again: another entry.
	Append(ctx context.Context, e Entry) (Entry, error)
	// Entries returns every entry in the order they were made.
	Entries(ctx context.Context) ([]Entry, error)
}

// Entry is one thing that happened.
type Entry struct {
	Seq    int64     `json:"seq"`
	At     time.Time `json:"at"`
	Step   string    `json:"step,omitempty"` // empty for what concerns the whole story
	Event  Event     `json:"event"`
	Detail string    `json:"detail,omitempty"`
}

// Event is what happened.
type Event string

// The events. Detail is: of Begun and Turned the procedure's name, of Asked what was told before the question, of Answered
// the answer, of Failed the error, of Stopped why.
const (
	Begun     Event = "begun"     // a story begins
	Started   Event = "started"   // a step begins, perhaps again
	Ready     Event = "ready"     // a step in the background has come so far that the story may go on
	Asked     Event = "asked"     // a step's question is put
	Answered  Event = "answered"  // and answered
	Done      Event = "done"      // what the step's sentence says is true
	Failed    Event = "failed"    // the step ended with an error; repeating it does it again
	Stopped   Event = "stopped"   // the step was told to stop, because of another step or from outside
	Repeated  Event = "repeated"  // the step, though done, is to be done again
	Turned    Event = "turned"    // the story is another procedure now
	Undoing   Event = "undoing"   // a step is being taken back
	Undone    Event = "undone"    // and has been
	Resetting Event = "resetting" // the whole story is being taken back
	WasReset  Event = "reset"     // and has been: the next story begins from nothing
	Ended     Event = "ended"     // every step is done
)
