package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// untilDone gives the same command until the move is done, and returns how often, and how often it failed.
func (r *round) untilDone() (commands, failed int) {
	for began := time.Now(); ; {
		commands++
		at := time.Now()
		e := r.life()
		if took := time.Since(at); took > 25*time.Second {
			r.t.Logf("one command took %s:\n%s", took, tail(e.said))
		}
		switch {
		case e.killed:
			continue
		case e.code == 0:
			return commands, failed
		}
		failed++
		r.clear(e)
		if commands > 500 || time.Since(began) > 15*time.Minute {
			r.t.Fatalf("the move is not done after %d commands and %s; the last one ended with %d:\n%s", commands, time.Since(began), e.code, tail(e.said))
		}
		<-time.After(100 * time.Millisecond) // whoever gives commands reads what the last one said
	}
}

// life is one process of the program, and what becomes of it: it runs to a failpoint, or for a random while until it is killed
// or stopped, or undisturbed.
func (r *round) life() ending {
	points, stop := "", time.Duration(0)
	what := r.rng.IntN(10)
	mortal := r.deaths > 0
	r.darkState()
	switch {
	case what >= 8:
		stop = r.while(1500 * time.Millisecond)
	case mortal && what < 3:
		points, stop = r.somePoints(), r.while(4*time.Second)
	case mortal:
		stop = r.while(700 * time.Millisecond)
	}
	p := r.move.start(points, "run", "--yes")
	ended := make(chan ending, 1)
	go func(m *move) { ended <- m.finish(p) }(r.move)
	if stop == 0 {
		return r.counted(<-ended)
	}
	select {
	case e := <-ended:
		return r.counted(e)
	case <-time.After(stop):
	}
	if what >= 8 {
		return r.frozen(p, ended)
	}
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	return r.counted(<-ended)
}

// darkState has the disk of the move's folder lose its power, or not, while no process is there.
func (r *round) darkState() {
	if power := r.state.power; power != nil && r.rng.IntN(2) == 0 {
		if err := power.LosePower(); err != nil {
			r.t.Fatal(err)
		}
		r.did(darkState, 1)
	}
}

// while draws how long a process lives: shorter where a whole move takes half a second.
func (r *round) while(mean time.Duration) time.Duration {
	if r.source.server == nil && r.target.server == nil {
		return time.Duration(r.rng.ExpFloat64() * float64(mean/4))
	}
	return 60*time.Millisecond + time.Duration(r.rng.ExpFloat64()*float64(mean))
}

// somePoints arms a few failpoints, each at its first or a later passage.
func (r *round) somePoints() string {
	all := points()
	var some []string
	for range 8 + r.rng.IntN(16) {
		some = append(some, fmt.Sprintf("%s:%d", all[r.rng.IntN(len(all))], 1+r.rng.IntN(3)))
	}
	return strings.Join(some, ",")
}

// killedLater waits for a process and kills it after a while, unless enough have been killed.
func (r *round) killedLater(p *process, ended <-chan ending) ending {
	r.t.Helper()
	if r.deaths <= 0 {
		return r.counted(<-ended)
	}
	select {
	case e := <-ended:
		return r.counted(e)
	case <-time.After(r.while(2 * time.Second)):
		_ = p.cmd.Process.Signal(syscall.SIGKILL)
		return r.counted(<-ended)
	}
}

// counted counts how a process died, if it did.
func (r *round) counted(e ending) ending {
	if e.killed {
		r.deaths--
		what := killedAtRandom
		if e.point != "" {
			what = killedAtPoint
		}
		r.did(what, 1)
		r.fellIn(e)
	}
	return e
}

// fellIn notes how far a process had come.
func (r *round) fellIn(e ending) {
	step := "before its first step"
	for line := range strings.Lines(e.said) {
		if _, s, ok := strings.Cut(line, "INF started step="); ok {
			step = strings.TrimSpace(s)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fell[step]++
}

// clear fails the test unless a process that failed said why, in words for an operator, and with the exit code that belongs to it.
func (r *round) clear(e ending) {
	r.t.Helper()
	lines := strings.Split(strings.TrimSpace(e.said), "\n")
	for _, bad := range []string{"panic", "goroutine ", "made a mistake", "runtime error", "0xc0", "%!"} {
		if strings.Contains(e.said, bad) {
			r.t.Errorf("a process said %q:\n%s", bad, tail(e.said))
			return
		}
	}
	var words []string
	for _, line := range lines {
		if rest, ok := strings.CutPrefix(line, "whimbrel: "); ok {
			words = append(words, rest)
		}
	}
	if e.code != 1 || len(words) == 0 || !strings.Contains(words[0], "goes on") {
		r.t.Errorf("a process ended with %d and does not say what to do: %s", e.code, tail(e.said))
	}
	r.endHolders(e.said)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.words[numbers.ReplaceAllString(strings.Join(words, " | "), "#")]++
}

// endHolders does what a locked file's error says: it ends the processes that sleep with its lock. Nobody else can: the lock is the system's.
func (r *round) endHolders(said string) {
	_, who, locked := strings.Cut(said, "the file is open in ")
	for _, s := range r.asleep {
		if locked && strings.Contains(who, fmt.Sprintf("(process %d)", s.p.cmd.Process.Pid)) {
			_ = s.p.cmd.Process.Kill()
		}
	}
}

// frozen stops a process and lets it go on later: perhaps when another one, with a copy of its folder, has taken the move over.
func (r *round) frozen(p *process, ended <-chan ending) ending {
	_ = p.sleep()
	said := p.said.String()
	begun := regexp.MustCompile(`started step=(load-uptime|replay|drain|load-rest|set-sequences|add-constraints)`).MatchString(said)
	if r.zombies == 0 || !begun || strings.Contains(said, "done step=verify-downtime") {
		<-time.After(time.Duration(r.rng.IntN(1500)) * time.Millisecond)
		_ = p.wake()
		r.did(paused, 1)
		return r.killedLater(p, ended)
	}
	r.zombies--
	r.did(zombied, 1)
	other := r.copied()
	if !strings.Contains(said, "started step=confirm-downtime") && r.rng.IntN(2) == 0 {
		r.t.Cleanup(func() { _ = p.cmd.Process.Kill() })
		r.asleep = append(r.asleep, sleeper{p, ended})
		r.move = other
		return ending{killed: true}
	}
	second := other.start("", "run", "--yes")
	successor := make(chan ending, 1)
	go func() { successor <- other.finish(second) }()
	var e ending
	late := time.Duration(r.rng.ExpFloat64() * float64(1500*time.Millisecond))
	select {
	case e = <-successor:
		e = r.counted(e)
		_ = p.wake()
	case <-time.After(late):
		_ = p.wake()
		e = r.killedLater(second, successor)
	}
	z := r.counted(<-ended)
	switch {
	case z.code == 0 && e.code == 0 && !e.killed:
		r.t.Errorf("two processes brought the move to its end:\n%s\n%s", tail(z.said), tail(e.said))
	case z.code == 0: // it had not taken over when it froze, and has done so since: the other one is the late one now
		return z
	case !z.killed:
		r.clear(z)
	}
	r.move = other
	return e
}

// sleeper is a frozen process that nobody wakes before the move is done.
type sleeper struct {
	p     *process
	ended <-chan ending
}

// wake lets those go on that were frozen all the while. They must find that nothing is theirs any more.
func (r *round) wake() {
	for _, s := range r.asleep {
		_ = s.p.wake()
		if z := r.counted(<-s.ended); z.killed {
			continue
		} else if z.code == 0 {
			r.t.Errorf("a process that slept while another one did its work came to its end:\n%s", tail(z.said))
		} else {
			r.clear(z)
		}
		r.did(slept, 1)
	}
}

// copied is the same move with a copy of its folder, as it is found on another machine after the first one has frozen.
func (r *round) copied() *move {
	r.t.Helper()
	there := newDisk(r.t, 64)
	err := filepath.WalkDir(r.state.path, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rest, err := filepath.Rel(r.state.path, path)
		if err != nil || path == r.state.filler() {
			return err
		}
		to := filepath.Join(there.path, rest)
		if d.IsDir() {
			return os.MkdirAll(to, 0o700)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, text, 0o600)
	})
	if err != nil {
		r.t.Fatal(err)
	}
	other := &move{t: r.t, dir: there.path, program: r.move.program}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state = there
	return other
}
