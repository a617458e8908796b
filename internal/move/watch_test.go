package move

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/whimbrel/whimbrel/internal/procedure"
	"github.com/whimbrel/whimbrel/internal/replay"
)

// A table is given up while its fingerprint is taken. That it was is not forgotten by whoever keeps what the fingerprint says: the
// next process would follow a table without capture.
func TestATableThatIsGivenUpStaysSo(t *testing.T) {
	s := newShop(t, DowntimeOptimized().Name)
	m := s.open(t)
	s.until(t, m, "accept-findings", "confirm-downtime")
	lost := of(m.tables(), Uptime)[0]
	source, err := m.source(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	var disarmed error
	s.source.Fault = func(op string) error {
		if op == "before Watcher.Fingerprint" {
			once.Do(func() { disarmed = m.giveUp(t.Context(), source, lost, "it grew") })
		}
		return nil
	}
	err = m.examine(t.Context(), lost)
	why, failed := m.lost(t.Context(), lost)
	if err := errors.Join(disarmed, failed); err != nil {
		t.Fatal(err)
	}
	if why == "" || err == nil {
		t.Errorf("it is kept that it was given up because %q, and the look at it ended with %v", why, err)
	}
}

// Capture comes off a table that is given up, though the run ends at that moment or the source refuses for a while: nobody weighs a
// record without a run, and it would grow until the application's writes fail.
func TestCaptureOfATableThatIsGivenUpComesOff(t *testing.T) {
	s := newShop(t, DowntimeOptimized().Name)
	m := s.open(t)
	s.until(t, m, "accept-findings", "confirm-downtime")
	lost := of(m.tables(), Uptime)[0]
	source, err := m.source(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ending, end := context.WithCancel(t.Context())
	refused := errors.New("refused")
	removed := 0
	s.source.Fault = func(op string) error {
		switch op {
		case "before Capturer.Remove":
			end()
			return refused
		case "after Capturer.Remove":
			removed++
		}
		return nil
	}
	if err := m.giveUp(ending, source, lost, "it grew"); !errors.Is(err, refused) {
		t.Fatal(err)
	}
	if bytes, err := m.recordBytes(t.Context(), source, lost); !errors.Is(err, refused) {
		t.Fatal(bytes, err)
	}
	s.source.Fault = func(op string) error {
		if op == "after Capturer.Remove" {
			removed++
		}
		return nil
	}
	if err := m.disarm(ending, source, lost); err != nil || removed != 1 {
		t.Errorf("at the end of a run capture was taken off %d times: %v", removed, err)
	}
	for range 2 {
		if bytes, err := m.recordBytes(t.Context(), source, lost); bytes != 0 || err != nil || removed != 1 {
			t.Errorf("%d bytes are left, and capture was taken off %d times: %v", bytes, removed, err)
		}
	}
}

// What is free on the source's disk is said by the operator's command. While the records are small no table is given up for it.
func TestLittleRoomIsNoReasonWhileRecordsAreSmall(t *testing.T) {
	s := newShop(t, DowntimeOptimized().Name)
	s.config.Records.LeastFreeMiB = 512
	m := s.open(t)
	s.until(t, m, "accept-findings", "confirm-downtime")
	for command, want := range map[string]string{
		"":                      "",
		"echo 9000":             "",
		"echo from df; echo 10": "",
		"echo ten":              `records.free: "echo ten" ends with "ten"; it must print the MiB that are free, as a number`,
		"echo -5":               `ends with "-5"`,
		"echo no; exit 3":       "exit status 3: no",
	} {
		m.config.Records.Free = command
		if err := m.weighDisk(t.Context()); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", command, err)
		}
	}
	for _, x := range of(m.tables(), Uptime) {
		if why, err := m.lost(t.Context(), x); why != "" || err != nil {
			t.Errorf("%s was given up: %q, %v", x.name, why, err)
		}
	}
}

// Both servers set back together remember the same batches. The number that an earlier process has kept tells, and the target is not opened.
func TestBatchesThatBothSidesHaveForgottenAreMissed(t *testing.T) {
	s := newShop(t, DowntimeOptimized().Name)
	m := s.open(t)
	s.until(t, m, "accept-findings", "confirm-downtime")
	_ = m.Answer(t.Context(), "confirm-downtime", procedure.Yes)
	followed := of(m.tables(), Uptime)[0]
	if err := m.remark(t.Context(), followed, func(seen *mark) { seen.Batch += 5 }); err != nil {
		t.Fatal(err)
	}
	if outcome, err := m.Run(t.Context(), procedure.GoOn); outcome == procedure.Finished || !errors.Is(err, replay.ErrTimeTravel) {
		t.Errorf("%s, %v", outcome, err)
	}
}

// Triggers that are off when the first fingerprint is taken would be off for ever after, and every later fingerprint the same.
func TestTriggersThatAreOffFromTheBeginningAreSeen(t *testing.T) {
	s := newShop(t, DowntimeOptimized().Name)
	m := s.open(t)
	s.source.Fault = func(op string) error {
		if op == "before Watcher.Fingerprint" {
			s.source.Mute(people)
		}
		return nil
	}
	for {
		outcome, err := m.Run(t.Context(), procedure.Stop)
		if outcome == procedure.Waiting {
			if at, _ := m.engine.Position().Question(); at.Step.Name == "accept-findings" {
				_ = m.Answer(t.Context(), at.Step.Name, procedure.Yes)
				continue
			}
		}
		if outcome != procedure.Failure || err == nil || !strings.Contains(err.Error(), "changes of main.people are hidden") {
			t.Fatalf("%s, %v", outcome, err)
		}
		break
	}
	s.source.Fault = nil
	s.source.Unmute(people)
	if outcome, err := m.Run(t.Context(), procedure.Stop); outcome != procedure.Waiting {
		t.Errorf("with the triggers on again: %s, %v", outcome, err)
	}
}
