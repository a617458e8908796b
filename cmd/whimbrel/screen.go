package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/whimbrel/whimbrel/internal/move"
	"github.com/whimbrel/whimbrel/internal/plain"
	"github.com/whimbrel/whimbrel/internal/procedure"
)

// errLater ends a run at a question that somebody does not want to answer now.
var errLater = errors.New("the question stays open")

// redraw is how often a picture is drawn again.
const redraw = 250 * time.Millisecond

// pen draws pictures over each other.
type pen struct {
	out      io.Writer
	terminal *os.File // whose size the pictures have; nil when there is none
	drawn    int      // the lines of the picture that stands there
}

// frame is the terminal's size, less a line for the cursor.
func (p *pen) frame() frame {
	width, height, err := term.GetSize(int(p.terminal.Fd()))
	if err != nil {
		return frame{width: 80, height: 24}
	}
	return frame{width: width, height: height - 1}
}

// draw replaces the picture that stands there.
func (p *pen) draw(lines []string) {
	var b strings.Builder
	if p.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\r", p.drawn)
	}
	b.WriteString("\x1b[J")
	for _, line := range lines {
		b.WriteString(line + "\n")
	}
	_, _ = io.WriteString(p.out, b.String())
	p.drawn = len(lines)
}

// leave lets the picture stand: the next one comes below what is written now.
func (p *pen) leave() { p.drawn = 0 }

// screen shows a move on a terminal and asks its questions there.
type screen struct {
	in, out *os.File
}

// show draws the move until ended is closed, and asks what is open. Somebody who does not want to answer now ends the run.
func (s *screen) show(ctx context.Context, m *move.Move, ended <-chan struct{}, cancel context.CancelCauseFunc) {
	pen := &pen{out: s.out, terminal: s.out}
	var asked move.Question // the question that stands on the screen; none when its step is empty
	for {
		status, err := m.Status(context.WithoutCancel(ctx))
		if err == nil {
			asked = s.put(pen, status, asked)
		}
		select {
		case <-ended:
			return
		default:
		}
		if asked.Step == "" || ctx.Err() != nil {
			select {
			case <-ended:
			case <-time.After(redraw):
			}
			continue
		}
		line, answered, err := s.line()
		switch {
		case err != nil:
			cancel(errLater)
		case !answered:
		case line == "no" || line == "n":
			cancel(errLater)
		case line == "":
			fmt.Fprint(s.out, "> ")
		default:
			s.answer(ctx, m, asked.Step, line)
		}
	}
}

// put draws the status, or puts its question below the last picture and returns it.
func (s *screen) put(pen *pen, status move.Status, asked move.Question) move.Question {
	q := status.Question
	if q == nil {
		if asked.Step != "" {
			fmt.Fprintln(s.out)
		}
		pen.draw(picture(status, pen.frame()))
		return move.Question{}
	}
	if q.Step == asked.Step && q.Since.Equal(asked.Since) {
		return asked
	}
	pen.draw(picture(status, pen.frame()))
	pen.leave()
	if q.Told != "" {
		fmt.Fprintln(s.out, "\n"+plain.Text(strings.TrimRight(q.Told, "\n")))
	}
	fmt.Fprintf(s.out, "\n%s [%s, or no to leave it open]\n> ", q.Text, strings.Join(q.Answers, ", "))
	return *q
}

func (s *screen) answer(ctx context.Context, m *move.Move, step, line string) {
	if line == "y" {
		line = procedure.Yes
	}
	if err := m.Answer(ctx, step, line); err != nil {
		fmt.Fprintf(s.out, "%s\n> ", plain.Line(err.Error()))
	}
}

// line returns a line from the terminal, and false when none has come within a moment.
func (s *screen) line() (string, bool, error) {
	fds := []unix.PollFd{{Fd: int32(s.in.Fd()), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, int(redraw/time.Millisecond))
	if errors.Is(err, unix.EINTR) || n == 0 {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	buffer := make([]byte, 4096)
	n, err = s.in.Read(buffer)
	return strings.TrimSpace(string(buffer[:n])), err == nil, err
}
