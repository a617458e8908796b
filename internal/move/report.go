package move

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/whimbrel/whimbrel/internal/plain"
	"github.com/whimbrel/whimbrel/internal/procedure"
)

// Report is what a move did, or has done so far. It is report.json.
type Report struct {
	Run             string          `json:"run"`
	Procedure       string          `json:"procedure"`
	State           procedure.State `json:"state"`
	Source          string          `json:"source,omitempty"`
	Target          string          `json:"target,omitempty"`
	Release         string          `json:"release,omitempty"` // the application's new one, with its version
	Started         time.Time       `json:"started"`
	Ended           *time.Time      `json:"ended"`            // null while it is under way
	Seconds         float64         `json:"seconds"`          // from the start to the end, or until now
	DowntimeSeconds float64         `json:"downtime_seconds"` // from stop-application's start to start-application's end, or until now; 0 before
	DowntimeBegan   *time.Time      `json:"downtime_began,omitempty"`
	DowntimeEnded   *time.Time      `json:"downtime_ended,omitempty"`
	Phases          []PhaseReport   `json:"phases"`
	Tables          []TableReport   `json:"tables"`
	Findings        []FindingReport `json:"findings"`
	Consents        []Consent       `json:"consents,omitempty"`
	CertificateKey  string          `json:"certificate_key,omitempty"` // the public key of this run, in hexadecimal
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
	Name         string        `json:"name"`
	Target       string        `json:"target,omitempty"` // its name there
	Class        Class         `json:"class"`
	Reason       string        `json:"reason"`
	Rows         int64         `json:"rows"`
	Bytes        int64         `json:"bytes"`
	LoadSeconds  float64       `json:"load_seconds"`
	Captured     int64         `json:"captured"`
	Replayed     int64         `json:"replayed"`
	VerifyLevel  Level         `json:"verify_level"`
	Verdict      Verdict       `json:"verdict"`
	Keys         []string      `json:"keys,omitempty"`      // different: at most 100, for people
	MoreKeys     bool          `json:"more_keys,omitempty"` // there are more
	SourceSum    string        `json:"source_sum,omitempty"`
	TargetSum    string        `json:"target_sum,omitempty"`
	VerifySecond float64       `json:"verify_seconds"`
	Mended       int           `json:"mended,omitempty"`      // rows that differed and were mended
	Why          string        `json:"why,omitempty"`         // what is known of why rows differed
	Certificate  string        `json:"certificate,omitempty"` // what was compared, signed
	Lossy        []LossyReport `json:"lossy,omitempty"`       // values that lost characters
	Error        string        `json:"error,omitempty"`       // why the table was stopped
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

// WriteText writes the report for people, with lines of any width.
func (r Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, run %s: %s\n", r.Procedure, r.Run, r.State)
	if r.Source != "" || r.Target != "" {
		fmt.Fprintf(&b, "%s → %s\n", plain.Line(r.Source), plain.Line(r.Target))
	}
	if r.Release != "" {
		fmt.Fprintf(&b, "to release %s\n", plain.Line(r.Release))
	}
	if !r.Started.IsZero() {
		fmt.Fprintf(&b, "began %s, took %s", r.Started.Local().Format(time.DateTime), Span(r.Seconds))
		if r.DowntimeSeconds > 0 {
			fmt.Fprintf(&b, ", downtime %s", Span(r.DowntimeSeconds))
		}
		b.WriteString("\n")
	}
	if r.Error != "" {
		fmt.Fprintf(&b, "failed: %s\n", plain.Lines(r.Error))
	}
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "\nstep\tstate\ttime\n")
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			if s.Times > 0 {
				fmt.Fprintf(t, "%s: %s\t%s\t%s\n", p.Name, s.Name, s.State, Span(s.Seconds))
			}
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(r.Tables) > 0 {
		b.WriteString("\n")
		if err := r.WriteTables(&b); err != nil {
			return err
		}
	}
	r.writeLossy(&b)
	r.writeFindings(&b)
	r.writeKey(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteTables writes a line for every table.
func (r Report) WriteTables(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "table\tclass\trows\tsize\tload\tcaptured\treplayed\tproven by\tverdict\n")
	for _, x := range r.Tables {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", plain.Line(x.Name), x.Class, Figure(x.Rows), Size(x.Bytes), Span(x.LoadSeconds),
			Figure(x.Captured), Figure(x.Replayed), x.VerifyLevel, x.Verdict)
	}
	return t.Flush()
}

// writeFindings writes what needs words: findings, stopped tables, keys that differ, and what was answered.
func (r Report) writeFindings(b *strings.Builder) {
	for _, x := range r.Tables {
		if x.Error != "" {
			fmt.Fprintf(b, "\n%s is stopped: %s\n", plain.Line(x.Name), plain.Lines(x.Error))
		}
		if len(x.Keys) > 0 {
			more := ""
			if x.MoreKeys {
				more = " and more"
			}
			differs := "differs at"
			if x.Verdict == Equal {
				differs = "was mended at"
			}
			fmt.Fprintf(b, "\n%s %s: %s%s\n", plain.Line(x.Name), differs, plain.Line(strings.Join(x.Keys, ", ")), more)
		}
		if x.Mended > 0 {
			fmt.Fprintf(b, "\n%s: %d rows differed and were mended\n", plain.Line(x.Name), x.Mended)
		}
		if x.Why != "" {
			fmt.Fprintf(b, "  %s\n", plain.Line(x.Why))
		}
	}
	if len(r.Findings) > 0 {
		b.WriteString("\nfindings\n")
	}
	for _, f := range r.Findings {
		place := f.Table
		if f.Column != "" {
			place += "." + f.Column
		}
		b.WriteString("  " + plain.Line(strings.Join(slices.DeleteFunc([]string{"[" + f.Level + "]", place, f.Object, f.Message, f.Detail}, empty), " ")) + "\n")
		if f.Do != "" {
			b.WriteString("      " + plain.Line(f.Do) + "\n")
		}
	}
	for _, c := range r.Consents {
		fmt.Fprintf(b, "\n%s was answered at %s: %s\n", c.Step, c.At.Local().Format(time.DateTime), plain.Line(c.Answer))
	}
}

// writeKey writes the key that the certificates are checked with.
func (r Report) writeKey(b *strings.Builder) {
	if r.CertificateKey != "" {
		fmt.Fprintf(b, "\ncertificates are signed with the key %s\n", r.CertificateKey)
	}
}

func empty(s string) bool { return s == "" }

// Span is a time for people: 0.4 s, 12 s, 4 min 10 s, 3 h 5 min.
func Span(seconds float64) string {
	switch s := int64(math.Round(seconds)); {
	case seconds < 9.95:
		return strconv.FormatFloat(seconds, 'f', 1, 64) + " s"
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%d min %d s", s/60, s%60)
	default:
		return fmt.Sprintf("%d h %d min", s/3600, s%3600/60)
	}
}

// Figure is a number for people, with its thousands apart; a negative one is not known.
func Figure(n int64) string {
	if n < 0 {
		return "?"
	}
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// Size is a number of bytes for people; a negative one is not known.
func Size(n int64) string {
	if n < 0 {
		return "?"
	}
	f, units := float64(n), []string{"B", "kB", "MB", "GB", "TB", "PB"}
	for f >= 999.5 && len(units) > 1 {
		f, units = f/1000, units[1:]
	}
	if f < 10 && n >= 1000 {
		return strconv.FormatFloat(f, 'f', 1, 64) + " " + units[0]
	}
	return strconv.FormatFloat(f, 'f', 0, 64) + " " + units[0]
}
