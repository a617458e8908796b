package console

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/whimbrel/whimbrel/internal/move"
	"github.com/whimbrel/whimbrel/internal/procedure"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk is a move of fixed words.
type desk struct{ answered []string }

var status = move.Status{
	Procedure: "standard", State: procedure.Asking, Question: &move.Question{Step: "confirm-downtime", Told: "about\nnow"},
	Phases: []move.PhaseReport{}, Tables: []move.TableStatus{{Name: "s.ö", Class: move.Uptime, Rows: 1 << 60, LagSeconds: 0.5}},
}

func (d *desk) Status(context.Context) (move.Status, error) { return status, nil }

func (d *desk) Report(context.Context) (move.Report, error) {
	return move.Report{}, errors.New("the disk is full")
}

func (d *desk) Answer(_ context.Context, step, answer string) error {
	if step != "confirm-downtime" {
		return errors.New("the open question is confirm-downtime, not " + step)
	}
	d.answered = append(d.answered, answer)
	return nil
}

func TestAnotherProcessSeesAndAnswers(t *testing.T) {
	for name, dir := range map[string]string{
		"a short path": t.TempDir(), "a long path": filepath.Join(t.TempDir(), strings.Repeat("x", 120)),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if _, err := Dial(dir); !errors.Is(err, ErrNobody) {
				t.Fatalf("dialled nobody: %v", err)
			}
			d := &desk{}
			s, err := Serve(dir, d)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			see(t, dir, d)
			if info, err := os.Stat(filepath.Join(dir, Socket)); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the socket is %v, %v", info, err)
			}
			if err := errors.Join(s.Close(), s.Close()); err != nil {
				t.Error(err)
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
				t.Errorf("left behind: %v, %v", entries, err)
			}
			if _, err := Dial(dir); !errors.Is(err, ErrNobody) {
				t.Errorf("dialled nobody: %v", err)
			}
		})
	}
}

func see(t *testing.T, dir string, d *desk) {
	t.Helper()
	c, err := Dial(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := c.Status(t.Context()); err != nil || !reflect.DeepEqual(got, status) {
		t.Errorf("status %+v, %v", got, err)
	}
	if _, err := c.Report(t.Context()); err == nil || err.Error() != "the disk is full" {
		t.Errorf("report: %v", err)
	}
	if err := c.Answer(t.Context(), "confirm-open", "yes"); err == nil || !strings.HasPrefix(err.Error(), "the open question is") {
		t.Errorf("answer: %v", err)
	}
	if err := c.Answer(t.Context(), "confirm-downtime", "weil\n\"ja\""); err != nil || !reflect.DeepEqual(d.answered, []string{"weil\n\"ja\""}) {
		t.Errorf("answered %q, %v", d.answered, err)
	}
}

func TestASocketThatWasLeftBehindIsTakenAway(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, Socket), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d := &desk{}
	s, err := Serve(dir, d)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	see(t, dir, d)
}
