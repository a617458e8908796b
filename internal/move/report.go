package move

import (
	"time"

	"github.com/whimbrel/whimbrel/internal/procedure"
)

// Report is what a move did, or has done so far. It is report.json.
type Report struct {
	Run             string          `json:"run"`
	Procedure       string          `json:"procedure"`
	State           procedure.State `json:"state"`
	Source          string          `json:"source,omitempty"`
	Target          string          `json:"target,omitempty"`
	Started         time.Time       `json:"started"`
	Ended           *time.Time      `json:"ended"`            // null while it is under way
	Seconds         float64         `json:"seconds"`          // from the start to the end, or until now
	DowntimeSeconds float64         `json:"downtime_seconds"` // from stop-application's start to start-application's end, or until now; 0 before
	Phases          []PhaseReport   `json:"phases"`
	Tables          []TableReport   `json:"tables"`
	Findings        []FindingReport `json:"findings"`
	Consents        []Consent       `json:"consents,omitempty"`
	Error           string          `json:"error,omitempty"`
}

// PhaseReport is a phase with its steps.
type PhaseReport struct {
	Name    string       `json:"name"`
	Seconds float64      `json:"seconds"` // from the first step's start to the last one's end
	Steps   []StepReport `json:"steps"`
}

// StepReport is one step.
type StepReport struct {
	Name    string          `json:"name"`
	State   procedure.State `json:"state"`
	Seconds float64         `json:"seconds"` // spent on it, all attempts; a question's wait included
	Times   int             `json:"times"`   // how often it was begun
	Error   string          `json:"error,omitempty"`
}

// TableReport is one table.
type TableReport struct {
	Name         string   `json:"name"`
	Target       string   `json:"target,omitempty"` // its name there
	Class        Class    `json:"class"`
	Reason       string   `json:"reason"`
	Rows         int64    `json:"rows"`
	Bytes        int64    `json:"bytes"`
	LoadSeconds  float64  `json:"load_seconds"`
	Captured     int64    `json:"captured"`
	Replayed     int64    `json:"replayed"`
	VerifyLevel  Level    `json:"verify_level"`
	Verdict      Verdict  `json:"verdict"`
	Keys         []string `json:"keys,omitempty"`      // different: at most 100, for people
	MoreKeys     bool     `json:"more_keys,omitempty"` // there are more
	SourceSum    string   `json:"source_sum,omitempty"`
	TargetSum    string   `json:"target_sum,omitempty"`
	VerifySecond float64  `json:"verify_seconds"`
	Error        string   `json:"error,omitempty"` // why the table was stopped
}

// FindingReport is a finding as the report shows it.
type FindingReport struct {
	Rule    string `json:"rule"`
	Level   string `json:"level"`
	Table   string `json:"table,omitempty"`
	Column  string `json:"column,omitempty"`
	Object  string `json:"object,omitempty"`
	Message string `json:"message"`
	Detail  string `json:"detail,omitempty"`
	Do      string `json:"do,omitempty"`
}

// Consent is something the operator answered, with what they were told before.
type Consent struct {
	Step   string    `json:"step"`
	At     time.Time `json:"at"`
	Told   string    `json:"told,omitempty"`
	Answer string    `json:"answer"`
}

// Verdict is what the proof of a table says.
type Verdict string

// The verdicts.
const (
	Equal       Verdict = "equal"
	Different   Verdict = "different"
	NotCompared Verdict = "not compared"
)

// Level is how a table is proven.
type Level string

// FullDowntime compares every row while the source is shut. FullUptimeChanged compares every row while the application
// runs, and in the downtime the keys that changed since. Sample compares some rows, by explicit choice only.
const (
	FullDowntime      Level = "full-downtime"
	FullUptimeChanged Level = "full-uptime+changed"
	Sample            Level = "sample"
)
