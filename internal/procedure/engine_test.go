package procedure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// errKilled is what a journal says behind the entry at which the process dies.
var errKilled = errors.New("killed")

// tape is a journal in memory that dies after some entries: before or after the last one is kept.
type tape struct {
	mu      sync.Mutex
	entries []Entry
	dies    int // the number of appends that succeed; -1 for ever
	keeps   bool
	clock   time.Time
}

func newTape() *tape { return &tape{dies: -1, clock: time.Unix(1000, 0)} }

func (j *tape) Append(_ context.Context, e Entry) (Entry, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.dies == 0 {
		if j.keeps {
			j.keep(e)
			j.keeps = false
		}
		return Entry{}, errKilled
	}
	j.dies--
	return j.keep(e), nil
}

func (j *tape) keep(e Entry) Entry {
	j.clock = j.clock.Add(time.Second)
	e.Seq, e.At = int64(len(j.entries)+1), j.clock
	j.entries = append(j.entries, e)
	return e
}

func (j *tape) Entries(context.Context) ([]Entry, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.entries), nil
}

func (j *tape) events() string {
	var words []string
	for _, e := range j.entries {
		words = append(words, strings.TrimSpace(string(e.Event)+" "+e.Step))
	}
	return strings.Join(words, ", ")
}

// long is a story with everything in it; short is the same without what runs together.
func long() Story {
	return Story{Name: "long", Phases: []Phase{
		{Name: "look", Steps: []Step{
			{Name: "see", Does: "x"}, {Name: "judge", Does: "x", Turn: Anew}, {Name: "accept", Does: "x", Asks: "Go on?", Turn: Offers},
		}},
		{Name: "ready", Steps: []Step{{Name: "make", Does: "x"}, {Name: "capture", Does: "x"}}},
		{Name: "load", Order: Together, Steps: []Step{
			{Name: "copy", Does: "x"}, {Name: "index", Does: "x"}, {Name: "follow", Does: "x", Until: "drain"},
		}},
		{Name: "down", Steps: []Step{
			{Name: "confirm", Does: "x", Asks: "Begin?", Turn: Offers},
			{Name: "shut", Does: "x"},
			{Name: "drain", Does: "x"},
			{Name: "rest", Does: "x"},
			{Name: "open", Does: "x", Asks: "Open?", Way: NoReturn},
			{Name: "start", Does: "x"},
		}},
	}}
}

func short() Story {
	s := long().Without("capture", "copy", "index", "follow", "drain")
	s.Name = "short"
	return s
}

var both = []Story{long(), short()}

// world is what the steps change, and how they misbehave.
type world struct {
	mu      sync.Mutex
	made    map[string]bool // what is there, done or half done
	follows chan struct{}   // takes one for every begin of the step in the background
	within  map[string]int
	did     map[string]int
	fails   map[string]int // the step fails, or panics, at its next so many calls
	wrong   []string       // what must not happen
}

func newWorld() *world {
	return &world{made: map[string]bool{}, within: map[string]int{}, did: map[string]int{}, fails: map[string]int{}}
}

func (w *world) complain(format string, a ...any) {
	w.wrong = append(w.wrong, fmt.Sprintf(format, a...))
}

func (w *world) enter(name string) (fail int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.within[name]++; w.within[name] > 1 {
		w.complain("%s runs twice at one time", name)
	}
	w.did[name]++
	if w.fails[name] > 0 {
		w.fails[name]--
		return w.fails[name] + 1
	}
	return 0
}

func (w *world) leave(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.within[name]--
}

func (w *world) actions() Actions {
	actions := Actions{}
	w.follows = make(chan struct{}, 1000)
	for _, step := range long().Steps() {
		actions[step.Name] = Action{
			Do: func(ctx context.Context) error {
				defer w.leave(step.Name)
				fail := w.enter(step.Name)
				w.mu.Lock()
				w.made[step.Name] = true
				for _, before := range needs[step.Name] {
					if !w.made[before] {
						w.complain("%s is done before %s", step.Name, before)
					}
				}
				w.mu.Unlock()
				if fail%2 == 1 {
					return errors.New("no luck")
				} else if fail > 0 {
					panic("no luck at all")
				}
				if step.Until != "" {
					w.follows <- struct{}{}
					<-ctx.Done()
					return context.Cause(ctx)
				}
				return nil
			},
			Undo: func(context.Context) error {
				defer w.leave(step.Name)
				if w.enter(step.Name) > 0 {
					return errors.New("no luck")
				}
				w.mu.Lock()
				defer w.mu.Unlock()
				delete(w.made, step.Name)
				for _, behind := range neededBy(step.Name) {
					if w.made[behind] {
						w.complain("%s is taken back before %s", step.Name, behind)
					}
				}
				return nil
			},
		}
	}
	follow := actions["follow"]
	follow.Ready = func(ctx context.Context) error {
		select {
		case <-w.follows:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	actions["follow"] = follow
	return actions
}

// needs are the steps that must stand before another begins.
var needs = map[string][]string{
	"accept": {"see", "judge"}, "make": {"see"}, "capture": {"make"}, "copy": {"capture"}, "index": {"capture"}, "follow": {"capture"},
	"shut": {"make", "confirm"}, "drain": {"shut", "copy", "index", "follow"}, "rest": {"shut"}, "open": {"rest"}, "start": {"open"},
}

func neededBy(name string) (behind []string) {
	for step, before := range needs {
		if slices.Contains(before, name) && step != "accept" && step != "shut" { // a turn asks again in the middle
			behind = append(behind, step)
		}
	}
	return behind
}

func (w *world) engine(t interface{ Fatal(...any) }, j Journal) *Engine {
	e, err := New(context.Background(), both, w.actions(), j, nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// stands fails the test unless exactly the steps of a story were made.
func (w *world) stands(t interface{ Fatalf(string, ...any) }, s Story) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, step := range long().Steps() {
		if w.made[step.Name] != s.has(step.Name) {
			t.Fatalf("made are %v, not the steps of %s", w.made, s.Name)
		}
	}
	if w.wrong != nil {
		t.Fatalf("%s", strings.Join(w.wrong, "; "))
	}
}

func TestAStoryRunsToItsEnd(t *testing.T) {
	w, j := newWorld(), newTape()
	e := w.engine(t, j)
	if outcome, err := e.Run(t.Context(), "long", GoOn); outcome != Finished || err != nil {
		t.Fatal(outcome, err)
	}
	w.stands(t, long())
	if p := e.Position(); p.State != Complete || p.Procedure != "long" || p.Ended.IsZero() {
		t.Errorf("stands at %+v", p)
	}
	if !strings.Contains(j.events(), "started drain, done follow, done drain") {
		t.Errorf("journal: %s", j.events())
	}
	entries := len(j.entries)
	if outcome, err := e.Run(t.Context(), "long", GoOn); outcome != Finished || err != nil || len(j.entries) != entries {
		t.Errorf("again: %v %v, %d entries more", outcome, err, len(j.entries)-entries)
	}
}

func TestKilledAtEveryEntryAStoryEndsTheSame(t *testing.T) {
	for _, keeps := range []bool{false, true} {
		for n := 0; ; n++ {
			w, j := newWorld(), newTape()
			j.dies, j.keeps = n, keeps
			outcome, err := w.engine(t, j).Run(t.Context(), "long", GoOn)
			if err == nil {
				break
			}
			if outcome != Failure || !errors.Is(err, errKilled) {
				t.Fatalf("at entry %d: %v %v", n, outcome, err)
			}
			if len(j.entries) > n+1 {
				t.Fatalf("went on behind entry %d: %s", n, j.events())
			}
			j.dies = -1
			if outcome, err := w.engine(t, j).Run(t.Context(), "long", GoOn); outcome != Finished || err != nil {
				t.Fatalf("after entry %d: %v %v", n, outcome, err)
			}
			w.stands(t, long())
		}
	}
}

func TestKilledAtEveryEntryAResetEndsTheSame(t *testing.T) {
	for n := 0; ; n++ {
		w, j := newWorld(), newTape()
		w.fails["open"] = 1
		if outcome, _ := w.engine(t, j).Run(t.Context(), "long", GoOn); outcome != Failure {
			t.Fatal(outcome)
		}
		j.dies = n
		err := w.engine(t, j).Reset(t.Context())
		if err == nil {
			break
		}
		j.dies = -1
		if n > 0 {
			if _, err := w.engine(t, j).Run(t.Context(), "long", GoOn); !errors.Is(err, ErrResetting) {
				t.Fatalf("a run in the middle of a reset: %v", err)
			}
		}
		if err := w.engine(t, j).Reset(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.stands(t, Story{Name: "nothing"})
		if p := w.engine(t, j).Position(); p.State != NotBegun || p.Procedure != "" {
			t.Fatalf("stands at %+v", p)
		}
	}
}

func TestAFailedStepIsRepeated(t *testing.T) {
	for fails, says := range map[int]string{1: "no luck", 2: "the program made a mistake in procedure."} {
		w, j := newWorld(), newTape()
		w.fails["rest"] = fails
		e := w.engine(t, j)
		outcome, err := e.Run(t.Context(), "long", GoOn)
		var failed *StepError
		if outcome != Failure || !errors.As(err, &failed) || failed.Step != "rest" || !strings.Contains(err.Error(), says) {
			t.Fatal(outcome, err)
		}
		p := e.Position()
		if at, _ := p.Current(); p.State != Broken || at.Step.Name != "rest" || !strings.Contains(at.Error, says) {
			t.Errorf("stands at %v, %+v", p.State, at)
		}
		w.fails["rest"] = 0
		if outcome, err := e.Repeat(t.Context(), "rest", GoOn); outcome != Finished || err != nil {
			t.Fatal(outcome, err)
		}
		w.stands(t, long())
	}
}

func TestWhatMayBeRepeated(t *testing.T) {
	w, j := newWorld(), newTape()
	e := w.engine(t, j)
	if outcome, err := e.Run(t.Context(), "long", Stop); outcome != Waiting || err != nil {
		t.Fatal(outcome, err)
	}
	for step, want := range map[string]string{"nowhere": "no step", "make": "has not been begun"} {
		if _, err := e.Repeat(t.Context(), step, Stop); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("repeat %s: %v", step, err)
		}
	}
	if outcome, err := e.Repeat(t.Context(), "see", Stop); outcome != Waiting || err != nil || w.did["see"] != 2 || w.did["judge"] != 2 {
		t.Errorf("repeat see: %v %v, did %v", outcome, err, w.did)
	}
	if err := e.Answer(t.Context(), "accept", Yes); err != nil {
		t.Fatal(err)
	}
	if outcome, err := e.Run(t.Context(), "long", Stop); outcome != Waiting || err != nil {
		t.Fatal(outcome, err)
	}
	if _, err := e.Repeat(t.Context(), "see", Stop); err == nil || !strings.Contains(err.Error(), "a later phase has begun") {
		t.Errorf("repeat see: %v", err)
	}
	w.fails["start"] = 1
	if outcome, _ := e.Run(t.Context(), "long", GoOn); outcome != Failure {
		t.Fatal(outcome)
	}
	if _, err := e.Repeat(t.Context(), "rest", Stop); err == nil || !strings.Contains(err.Error(), "point of no return") {
		t.Errorf("repeat rest: %v", err)
	}
	if err := e.Reset(t.Context()); !errors.Is(err, ErrNoReturn) {
		t.Errorf("reset: %v", err)
	}
	if outcome, err := e.Repeat(t.Context(), "start", Stop); outcome != Finished || err != nil {
		t.Errorf("repeat start: %v %v", outcome, err)
	}
}

func TestADrainThatIsRepeatedHasItsBackgroundAgain(t *testing.T) {
	w, j := newWorld(), newTape()
	w.fails["rest"] = 1
	e := w.engine(t, j)
	if outcome, _ := e.Run(t.Context(), "long", GoOn); outcome != Failure {
		t.Fatal(outcome)
	}
	if outcome, err := e.Repeat(t.Context(), "drain", GoOn); outcome != Finished || err != nil || w.did["follow"] != 2 {
		t.Fatalf("%v %v, followed %d times", outcome, err, w.did["follow"])
	}
	w.stands(t, long())
}

func TestQuestions(t *testing.T) {
	w, j := newWorld(), newTape()
	actions := w.actions()
	accept := actions["accept"]
	accept.Tell = func(context.Context) (string, error) { return "3 findings", nil }
	accept.Judge = func(_ context.Context, answer string) error {
		if !strings.HasPrefix(answer, "because") {
			return errors.New("say why")
		}
		return nil
	}
	actions["accept"] = accept
	e, err := New(t.Context(), both, actions, j, nil)
	if err != nil {
		t.Fatal(err)
	}
	if outcome, err := e.Run(t.Context(), "long", GoOn); outcome != Failure || !strings.Contains(err.Error(), "say why") {
		t.Fatal(outcome, err)
	}
	if outcome, err := e.Run(t.Context(), "long", Stop); outcome != Waiting || err != nil {
		t.Fatal(outcome, err)
	}
	q, ok := e.Position().Question()
	if !ok || q.Step.Name != "accept" || q.Told != "3 findings" || e.Position().State != Asking {
		t.Fatalf("asked %v %+v", ok, q)
	}
	if err := e.Answer(t.Context(), "accept", Yes); err == nil || err.Error() != "say why" {
		t.Error(err)
	}
	if err := e.Answer(t.Context(), "confirm", Yes); err == nil || !strings.Contains(err.Error(), "the open question is accept") {
		t.Error(err)
	}
	if err := e.Answer(t.Context(), "accept", "because of the moon"); err != nil {
		t.Error(err)
	}
	if err := e.Answer(t.Context(), "accept", "because of the moon"); err == nil {
		t.Error("answered twice")
	}
	e, err = New(t.Context(), both, actions, j, nil) // another process
	if err != nil {
		t.Fatal(err)
	}
	if outcome, err := e.Run(t.Context(), "long", Stop); outcome != Waiting || err != nil {
		t.Fatal(outcome, err)
	}
	if at, _ := e.Position().At("accept"); at.Answer != "because of the moon" || at.State != Complete {
		t.Errorf("answered %+v", at)
	}
	if q, _ := e.Position().Question(); q.Step.Name != "confirm" {
		t.Errorf("asks %s", q.Step.Name)
	}
	if at, _ := e.Position().At("follow"); at.State != Halted {
		t.Errorf("while nobody runs the story, follow is %s", at.State)
	}
}

func TestARunWaitsForItsAnswerWithTheBackgroundGoingOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, j := newWorld(), newTape()
		e := w.engine(t, j)
		var outcome Outcome
		var wg sync.WaitGroup
		wg.Go(func() { outcome, _ = e.Run(t.Context(), "long", Wait) })
		for _, step := range []string{"accept", "confirm", "open"} {
			synctest.Wait()
			if _, err := e.Run(t.Context(), "long", Wait); !errors.Is(err, ErrBusy) {
				t.Error(err)
			}
			if follows := w.within["follow"]; step == "confirm" && follows != 1 {
				t.Errorf("%d follow at the question", follows)
			}
			if err := e.Answer(t.Context(), step, Yes); err != nil {
				t.Error(err)
			}
		}
		wg.Wait()
		if outcome != Finished {
			t.Error(outcome)
		}
	})
}

func TestAFailureInTheBackgroundEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, j := newWorld(), newTape()
		broke := make(chan struct{})
		actions := w.actions()
		actions["follow"] = Action{Do: func(ctx context.Context) error {
			select {
			case <-broke:
				return errors.New("disk full")
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		e, err := New(t.Context(), both, actions, j, nil)
		if err != nil {
			t.Fatal(err)
		}
		var outcome Outcome
		var wg sync.WaitGroup
		wg.Go(func() { outcome, err = e.Run(t.Context(), "long", Wait) })
		synctest.Wait()
		if err := e.Answer(t.Context(), "accept", Yes); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		close(broke)
		wg.Wait()
		if outcome != Failure || err.Error() != "step follow: disk full" {
			t.Error(outcome, err)
		}
		if p := e.Position(); p.State != Broken {
			t.Error(p.State)
		}
	})
}

func TestAFailureStopsWhatRunsBesideItWithItsCause(t *testing.T) {
	w, j := newWorld(), newTape()
	var cause error
	actions := w.actions()
	actions["copy"] = Action{Do: func(ctx context.Context) error {
		<-ctx.Done()
		cause = context.Cause(ctx)
		return ctx.Err()
	}}
	w.fails["index"] = 1
	e, err := New(t.Context(), both, actions, j, nil)
	if err != nil {
		t.Fatal(err)
	}
	if outcome, err := e.Run(t.Context(), "long", GoOn); outcome != Failure || err.Error() != "step index: no luck" {
		t.Fatal(outcome, err)
	}
	if cause == nil || cause.Error() != "step index: no luck" {
		t.Errorf("the cause was %v", cause)
	}
	if at, _ := e.Position().At("copy"); at.State != Halted {
		t.Errorf("copy is %s", at.State)
	}
}

func TestTheOutsideInterrupts(t *testing.T) {
	w, j := newWorld(), newTape()
	actions := w.actions()
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("signal")
	actions["copy"] = Action{Do: func(ctx context.Context) error {
		cancel(enough)
		<-ctx.Done()
		return ctx.Err()
	}}
	e, err := New(t.Context(), both, actions, j, nil)
	if err != nil {
		t.Fatal(err)
	}
	if outcome, err := e.Run(ctx, "long", GoOn); outcome != Interrupted || !errors.Is(err, enough) {
		t.Fatal(outcome, err)
	}
	if outcome, err := w.engine(t, j).Run(t.Context(), "long", GoOn); outcome != Finished || err != nil {
		t.Fatal(outcome, err)
	}
	w.stands(t, long())
}

func TestReadinessIsAwaitedOnce(t *testing.T) {
	w, j := newWorld(), newTape()
	times := 0
	actions := w.actions()
	follow := actions["follow"]
	follow.Ready = func(context.Context) error {
		times++
		if times == 1 {
			return errors.New("not ready")
		}
		return nil
	}
	actions["follow"] = follow
	w.fails["rest"] = 1
	for _, want := range []string{"step follow: not ready", "step rest: no luck", ""} {
		e, err := New(t.Context(), both, actions, j, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = e.Run(t.Context(), "long", GoOn)
		if got := fmt.Sprint(err); got != want && (err != nil || want != "") {
			t.Fatalf("error %v, want %s", err, want)
		}
	}
	if times != 2 {
		t.Errorf("asked %d times", times)
	}
}

func TestAStoryIsTurned(t *testing.T) {
	for _, c := range []struct{ from, to, at string }{
		{"long", "short", "accept"}, {"long", "short", "confirm"}, {"short", "long", "accept"}, {"short", "long", "confirm"},
	} {
		t.Run(c.from+" at "+c.at, func(t *testing.T) {
			for n := 0; ; n++ {
				w, j := newWorld(), newTape()
				e := w.engine(t, j)
				for q, ok := (StepPosition{}), false; !ok || q.Step.Name != c.at; q, ok = e.Position().Question() {
					if ok {
						if err := e.Answer(t.Context(), q.Step.Name, Yes); err != nil {
							t.Fatal(err)
						}
					}
					if outcome, err := e.Run(t.Context(), c.from, Stop); outcome != Waiting || err != nil {
						t.Fatal(outcome, err)
					}
				}
				if err := e.Answer(t.Context(), c.at, c.to); err != nil {
					t.Fatal(err)
				}
				j.dies = n
				_, killed := w.engine(t, j).Run(t.Context(), c.from, GoOn)
				j.dies = -1
				if outcome, err := w.engine(t, j).Run(t.Context(), c.from, GoOn); outcome != Finished || err != nil {
					t.Fatal(outcome, err)
				}
				s, _ := find(both, c.to)
				w.stands(t, s)
				if w.did["judge"] < 3 { // done, taken back, done
					t.Fatal("what depends on the procedure was not done anew")
				}
				if killed == nil {
					break
				}
			}
		})
	}
}

func TestWhatCanNotBeRun(t *testing.T) {
	good := newWorld().actions()
	more := newWorld().actions()
	more["dance"] = Action{}
	less := newWorld().actions()
	delete(less, "drain")
	step := Step{Name: "a", Does: "x"}
	asks := Step{Name: "a", Does: "x", Asks: "?"}
	for want, c := range map[string]struct {
		story   Story
		actions Actions
	}{
		"action dance belongs to no step":     {long(), more},
		"step drain of story long has":        {long(), less},
		`step "a" of phase p has no name`:     {Story{Phases: []Phase{{Name: "p", Steps: []Step{step, step}}}}, good},
		"step a says nothing":                 {Story{Phases: []Phase{{Steps: []Step{{Name: "a"}}}}}, good},
		"step a asks while others run":        {Story{Phases: []Phase{{Order: Together, Steps: []Step{asks}}}}, good},
		"step a runs until b, which no later": {Story{Phases: []Phase{{Steps: []Step{{Name: "a", Does: "x", Until: "b"}, {Name: "b", Does: "x"}}}}}, good},
	} {
		if _, err := New(t.Context(), []Story{c.story}, c.actions, newTape(), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	if _, err := newWorld().engine(t, newTape()).Run(t.Context(), "tall", GoOn); err == nil {
		t.Error("ran a procedure that is not there")
	}
}
