package move

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/internal/procedure"
)

var updateStory = flag.Bool("update-story", false, "write docs/procedure.md from the story")

const storyPage = "../../docs/procedure.md"

// design is the order of the steps as the design has it.
const design = `check-source check-target inspect classify translate accept-findings
shut-target build-shadow create-tables copy-repository install-capture
load-uptime build-indexes replay verify-uptime
confirm-downtime stop-application shut-source drain check-repository load-rest set-sequences add-constraints verify-downtime switch-release update-application confirm-open open-target start-application
run-after prove-constraints remove-capture report`

func TestTheStoryHasTheDesignsOrder(t *testing.T) {
	for i, line := range strings.Split(design, "\n") {
		phase := ToRelease()[0].Phases[i]
		var names []string
		for _, s := range phase.Steps {
			names = append(names, s.Name)
		}
		if got := strings.Join(names, " "); got != line {
			t.Errorf("phase %s has %s, want %s", phase.Name, got, line)
		}
	}
}

// TestAMoveWithoutAReleaseHasNoneOfItsSteps, and all the others.
func TestAMoveWithoutAReleaseHasNoneOfItsSteps(t *testing.T) {
	for i, s := range Procedures() {
		short := ToRelease()[i].Without(ofRelease...)
		if !slices.Equal(s.Steps(), short.Steps()) || len(s.Steps()) != len(ToRelease()[i].Steps())-len(ofRelease) {
			t.Errorf("%s: %v", s.Name, s.Steps())
		}
	}
}

func TestEveryProcedureCanBeRunAndReads(t *testing.T) {
	for _, s := range ToRelease() {
		if err := s.Valid(); err != nil {
			t.Error(err)
		}
		for _, phase := range s.Phases {
			for _, step := range phase.Steps {
				if !sentence(step.Does) || !sentence(phase.Does) || !sentence(s.Does) {
					t.Errorf("%s, %s: %q is not a sentence", s.Name, step.Name, step.Does)
				}
				if step.Asks != "" && !strings.Contains(step.Asks, "?") {
					t.Errorf("%s asks %q", step.Name, step.Asks)
				}
			}
		}
	}
}

func sentence(s string) bool {
	return len(s) > 20 && strings.ToUpper(s[:1]) == s[:1] && strings.HasSuffix(s, ".")
}

func TestTheProceduresAgreeOnTheirSteps(t *testing.T) {
	whole := ToRelease()[0].Steps()
	last := -1
	for _, s := range ToRelease()[1].Steps() {
		i := slices.Index(whole, s)
		if i <= last {
			t.Errorf("%s stands elsewhere, or says something else, in the other procedure", s.Name)
		}
		last = i
	}
}

func TestThereIsOneWayBackUntilTheTargetOpens(t *testing.T) {
	for _, s := range ToRelease() {
		steps := s.Steps()
		gate := slices.IndexFunc(steps, func(x procedure.Step) bool { return x.Way == procedure.NoReturn })
		open := slices.IndexFunc(steps, func(x procedure.Step) bool { return x.Name == "open-target" })
		proof := slices.IndexFunc(steps, func(x procedure.Step) bool { return x.Name == "verify-downtime" })
		if gate != open-1 || proof > gate || steps[gate].Asks == "" {
			t.Errorf("%s: the point of no return is step %d, the proof %d, the opening %d", s.Name, gate, proof, open)
		}
		down := slices.IndexFunc(steps, func(x procedure.Step) bool { return x.Name == "stop-application" })
		for i, x := range steps {
			if x.Turn == procedure.Offers && i >= down {
				t.Errorf("%s: %s offers a turn in the downtime", s.Name, x.Name)
			}
			if x.Asks != "" && i < down && x.Turn != procedure.Offers {
				t.Errorf("%s: %s offers no turn before the downtime", s.Name, x.Name)
			}
		}
	}
}

func TestTheStoryIsDocumented(t *testing.T) {
	page := page()
	if *updateStory {
		if err := os.WriteFile(storyPage, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(storyPage)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != page {
		t.Errorf("%s is not what the story says; go test ./internal/move -run Documented -update-story writes it", storyPage)
	}
}

// page is the story for people who do not read Go.
func page() string {
	var b strings.Builder
	b.WriteString("# The procedure, step by step\n\nWritten from `internal/move/story.go`. Each step says what is true when it is done.\n" +
		"Every step but those behind the point of no return can be taken back, and one that failed can be repeated.\n" +
		"The steps marked *release* belong to a move to a new release of the application ([release.md](release.md)); without one a move has none of them.\n")
	for _, s := range ToRelease() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| phase | step | afterwards |\n|---|---|---|\n", s.Name, s.Does)
		for _, p := range s.Phases {
			for i, x := range p.Steps {
				name, notes := "", []string{x.Does}
				if i == 0 {
					name = "**" + p.Name + "**: " + p.Does
				}
				if slices.Contains(ofRelease, x.Name) {
					notes = append([]string{"*release:*"}, notes...)
				}
				if p.Order == procedure.Together {
					notes = append(notes, "(Beside the other steps of the phase.)")
				}
				if x.Until != "" {
					notes = append(notes, "(In the background, until "+x.Until+" is done.)")
				}
				if x.Asks != "" {
					notes = append(notes, "*Asks: "+x.Asks+"*")
				}
				if x.Takes != "" {
					notes = append(notes, "(Asks only where there is something to ask; the answer is "+x.Takes+".)")
				}
				if x.Turn == procedure.Offers {
					notes = append(notes, "(May be answered with the name of the other procedure.)")
				}
				fmt.Fprintf(&b, "| %s | %s | %s |\n", name, x.Name, strings.Join(notes, " "))
			}
		}
	}
	return b.String()
}
