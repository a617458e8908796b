package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/whimbrel/whimbrel/internal/console"
	"github.com/whimbrel/whimbrel/internal/move"
	"github.com/whimbrel/whimbrel/internal/procedure"
)

// going is how a run goes on at its questions, as the flags say.
type going struct{ yes, wait bool }

func (g *going) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&g.yes, "yes", false, `answer every question with "go on"`)
	cmd.Flags().BoolVar(&g.wait, "wait", false, "without a terminal: stay at a question until whimbrel answer answers it")
	cmd.MarkFlagsMutuallyExclusive("yes", "wait")
}

func (p *program) runCommand() *cobra.Command {
	var g going
	cmd := &cobra.Command{
		Use: "run", Args: cobra.NoArgs, Short: "Go on until a question, a failure or the end",
		Long: "Goes on from where the move stands until a question, a failure or the end. The same command goes on after each of\n" +
			"them, and after a crash. On a terminal it shows the move and asks its questions there.",
		RunE: failing(func(cmd *cobra.Command, _ []string) error {
			return p.conduct(cmd.Context(), g, func(ctx context.Context, m *move.Move, q procedure.Questions) (procedure.Outcome, error) {
				return m.Run(ctx, q)
			})
		}),
	}
	g.flags(cmd)
	p.showing(cmd)
	return cmd
}

func (p *program) repeatCommand() *cobra.Command {
	var g going
	cmd := &cobra.Command{
		Use: "repeat STEP", Args: cobra.ExactArgs(1), Short: "Do a step again and go on",
		RunE: failing(func(cmd *cobra.Command, args []string) error {
			return p.conduct(cmd.Context(), g, func(ctx context.Context, m *move.Move, q procedure.Questions) (procedure.Outcome, error) {
				return m.Repeat(ctx, args[0], q)
			})
		}),
	}
	g.flags(cmd)
	p.showing(cmd)
	return cmd
}

// conduct holds the move while do goes through it, with its console open and, on a terminal, its picture shown.
func (p *program) conduct(ctx context.Context, g going, do func(context.Context, *move.Move, procedure.Questions) (procedure.Outcome, error)) error {
	screen := p.screen()
	say := lines
	if screen != nil {
		say = nothing
	}
	return p.with(ctx, say, func(o *opened) error {
		server, err := console.Serve(p.folder(), o.Move)
		if err != nil {
			return err
		}
		q := procedure.Stop
		switch {
		case g.yes:
			q = procedure.GoOn
		case g.wait || screen != nil:
			q = procedure.Wait
		}
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		var wg sync.WaitGroup
		shown := make(chan struct{})
		if screen != nil {
			wg.Go(func() { screen.show(ctx, o.Move, shown, cancel) })
		}
		outcome, failed := do(ctx, o.Move, q)
		close(shown)
		wg.Wait()
		return errors.Join(p.end(ctx, o.Move, outcome, failed), server.Close())
	})
}

// end says how a run ended and returns the exit code as an error.
func (p *program) end(ctx context.Context, m *move.Move, outcome procedure.Outcome, failed error) error {
	ctx = context.WithoutCancel(ctx)
	switch {
	case outcome == procedure.Finished && failed == nil:
		r, err := m.Report(ctx)
		if err != nil {
			return err
		}
		return r.WriteText(p.out)
	case outcome == procedure.Waiting && failed == nil, errors.Is(failed, errLater):
		s, err := m.Status(ctx)
		if err != nil {
			return err
		}
		if s.Question != nil {
			p.question(s.Question)
		}
		return &exitError{code: exitWaiting}
	case outcome == procedure.Interrupted:
		return errors.New("stopped from outside; whimbrel run goes on")
	}
	var step *procedure.StepError
	switch {
	case errors.As(failed, &step):
		fmt.Fprintf(p.err, "whimbrel: %s failed; %s, then whimbrel run or whimbrel repeat %s goes on\n", step.Step, m.Advice(failed), step.Step)
	case failed != nil:
		fmt.Fprintf(p.err, "whimbrel: the run has stopped; %s, then whimbrel run goes on\n", m.Advice(failed))
	}
	return failed
}

// question writes an open question with the commands that answer it.
func (p *program) question(q *move.Question) {
	if q.Told != "" {
		fmt.Fprintln(p.out, strings.TrimRight(q.Told, "\n"))
	}
	fmt.Fprintf(p.out, "%s\n  whimbrel answer %s %s\n", q.Text, q.Step, strings.Join(q.Answers, "|"))
}

func (p *program) answerCommand() *cobra.Command {
	return &cobra.Command{
		Use: "answer STEP [ANSWER]", Args: cobra.RangeArgs(1, 2), Short: "Answer the open question",
		Long: "Answers the question of a step: yes without ANSWER; before the downtime also the name of the other procedure, into\n" +
			"which the move is then turned; at confirm-open, with tables that are not equal, the reason to open nevertheless.",
		RunE: failing(func(cmd *cobra.Command, args []string) error {
			text := procedure.Yes
			if len(args) > 1 {
				text = args[1]
			}
			return p.see(cmd.Context(), func(m console.Move) error {
				if err := m.Answer(cmd.Context(), args[0], text); err != nil {
					return err
				}
				if _, remote := m.(*console.Client); !remote {
					fmt.Fprintln(p.out, "noted; whimbrel run goes on")
				}
				return nil
			})
		}),
	}
}

func (p *program) resetCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "reset", Args: cobra.NoArgs, Short: "Take every step back, up to the point of no return",
		RunE: failing(func(cmd *cobra.Command, _ []string) error {
			if !yes {
				if err := p.sure("Take every step of the move back?"); err != nil {
					return err
				}
			}
			return p.with(cmd.Context(), lines, func(o *opened) error {
				if err := o.Reset(cmd.Context()); err != nil {
					return err
				}
				fmt.Fprintln(p.out, "everything is taken back")
				return nil
			})
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

// sure asks at the terminal; without one it refuses.
func (p *program) sure(question string) error {
	if !term.IsTerminal(int(p.in.Fd())) {
		return &exitError{code: exitUsage, cause: errors.New("without a terminal this needs --yes")}
	}
	fmt.Fprintf(p.out, "%s [yes/no] ", question)
	var answer string
	if _, err := fmt.Fscanln(p.in, &answer); err != nil || answer != procedure.Yes {
		return &exitError{code: exitWaiting, cause: errors.New("nothing was done")}
	}
	return nil
}

// screen returns the terminal, or nil when there is none to show the move on and ask.
func (p *program) screen() *screen {
	if p.terminal == nil || !term.IsTerminal(int(p.in.Fd())) {
		return nil
	}
	return &screen{in: p.in, out: p.terminal}
}
