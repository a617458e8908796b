package move

import (
	"context"
	"log/slog"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/check"
	"github.com/whimbrel/whimbrel/internal/procedure"
	"github.com/whimbrel/whimbrel/internal/state"
)

// Finding is what check found, how bad it is, and what to do about it.
type Finding = check.Finding

// Setup is everything a move is made of. Open takes it:
//
//	func Open(ctx context.Context, s Setup) (*Move, error)
//
// opens nothing but what it needs at once; databases are opened when a step first needs them. A *Move is a Conductor, a
// Desk and a Prover, and Close ends its sessions.
type Setup struct {
	Config  *Config
	State   *state.State // held by the caller, who closes it after the move
	Drivers []driver.Driver
	Log     *slog.Logger // one line for each step's begin and end, and for what an operator must see
	Program string       // name and version, as certificates say them

	ShowValues bool // errors about rows that a release's rule can not make hold their cells
}

// Conductor goes through the story.
type Conductor interface {
	// Run goes on from where the journal says the move stands, until a question that q does not let it wait for, a failure,
	// or the end. At each end it writes report.json. Again: goes on.
	Run(ctx context.Context, q procedure.Questions) (procedure.Outcome, error)
	// Repeat does a step that failed, or the last phase's steps from this one on, again and then goes on as Run does.
	Repeat(ctx context.Context, step string, q procedure.Questions) (procedure.Outcome, error)
	// Reset takes every step back in reverse order, runs the operator's start-source command if the application had been
	// stopped, and leaves no object of ours on either side. Again: takes back what is left; with nothing begun, nothing.
	Reset(ctx context.Context) error
}

// Desk is where people see a move and answer its questions, while another goroutine runs it or nobody does.
type Desk interface {
	// Status describes the move as it stands now. It opens no database and waits for nothing.
	Status(ctx context.Context) (Status, error)
	// Answer answers the open question of a step. An answer that the step does not take is an error that says which
	// answers there are. Again: an error, as the question is no longer open.
	Answer(ctx context.Context, step, answer string) error
}

// Prover looks at both sides without running the story.
type Prover interface {
	// Check finds what would go wrong. It changes nothing on either side and nothing in the journal.
	Check(ctx context.Context) ([]Finding, error)
	// Verify compares every table of the move in full as both sides are now, and returns the tables' part of the report.
	Verify(ctx context.Context) ([]TableReport, error)
	// Repair does what Verify does and mends exactly the rows that differ, while the source is shut and the target is not open
	// yet; then it compares every row once more. Again: finds nothing to mend.
	Repair(ctx context.Context) ([]TableReport, error)
	// Report describes the move so far.
	Report(ctx context.Context) (Report, error)
}

// Status is a move as it stands at one moment.
type Status struct {
	At        time.Time         `json:"at"`
	Run       string            `json:"run,omitempty"`
	Procedure string            `json:"procedure"`
	State     procedure.State   `json:"state"`              // of the whole move
	Phase     string            `json:"phase,omitempty"`    // where it stands
	Step      string            `json:"step,omitempty"`     // the first step that is not done and does not run in the background
	Question  *Question         `json:"question,omitempty"` // nil when none is open
	Error     string            `json:"error,omitempty"`    // of the step that failed
	Source    string            `json:"source,omitempty"`   // product, host and database, for people
	Target    string            `json:"target,omitempty"`
	Phases    []PhaseReport     `json:"phases"`
	Tables    []TableStatus     `json:"tables,omitempty"`
	Forecast  *Forecast         `json:"forecast,omitempty"`
	Totals    Totals            `json:"totals"`
	Notes     map[string]string `json:"notes,omitempty"` // what an operator should see beside it: "shut the source": "for 15s so far; in the way may be session 7 of shop (…)"
}

// Question is one that waits for an answer.
type Question struct {
	Step    string    `json:"step"`
	Text    string    `json:"text"`
	Told    string    `json:"told,omitempty"`    // what to know before answering, perhaps many lines
	Answers []string  `json:"answers,omitempty"` // the words it takes; a step may take sentences beside them
	Since   time.Time `json:"since"`
}

// TableStatus is where one table stands.
type TableStatus struct {
	Name           string  `json:"name"`
	Class          Class   `json:"class"`
	Stage          Stage   `json:"stage"`
	Rows           int64   `json:"rows"`           // loaded so far
	EstimatedRows  int64   `json:"estimated_rows"` // -1 when unknown
	RowsPerSecond  float64 `json:"rows_per_second"`
	BytesPerSecond float64 `json:"bytes_per_second"`
	Captured       int64   `json:"captured"` // keys noted at the source so far, those replayed included
	Replayed       int64   `json:"replayed"`
	Backlog        int64   `json:"backlog"`      // keys not yet replayed
	RecordBytes    int64   `json:"record_bytes"` // what the record takes at the source
	LagSeconds     float64 `json:"lag_seconds"`
	Verdict        Verdict `json:"verdict,omitempty"`
	Lossy          int     `json:"lossy,omitempty"` // values that lost characters
	Error          string  `json:"error,omitempty"` // why the table is stopped
}

// Totals are the sums over the tables.
type Totals struct {
	Rows           int64   `json:"rows"`
	EstimatedRows  int64   `json:"estimated_rows"`
	RowsPerSecond  float64 `json:"rows_per_second"`
	BytesPerSecond float64 `json:"bytes_per_second"`
	Backlog        int64   `json:"backlog"`
	RecordBytes    int64   `json:"record_bytes"`
	LagSeconds     float64 `json:"lag_seconds"` // the largest
}

// Forecast is what the downtime would take if it began now.
type Forecast struct {
	DowntimeSeconds float64 `json:"downtime_seconds"`
	Why             string  `json:"why"` // one sentence: what it consists of
}

// Class is how a table is moved.
type Class string

// The classes.
const (
	Uptime     Class = "uptime"     // loaded while the application runs, and replayed
	Downtime   Class = "downtime"   // loaded in the downtime
	Repository Class = "repository" // comes with the new release
	Skip       Class = "skip"       // not moved
)

// Stage is how far a table has come.
type Stage string

// The stages, in order; Stopped can follow each of them.
const (
	Waiting   Stage = "waiting"
	Loading   Stage = "loading"
	Indexing  Stage = "indexing"
	Replaying Stage = "replaying"
	Following Stage = "following" // replayed, and no backlog to speak of
	Drained   Stage = "drained"
	Verifying Stage = "verifying"
	Proven    Stage = "proven"
	Stopped   Stage = "stopped" // a row does not fit, or the table has been altered
)
