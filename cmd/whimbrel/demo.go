package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/spf13/cobra"

	"github.com/whimbrel/whimbrel/internal/move"
	"github.com/whimbrel/whimbrel/internal/procedure"
)

// demoConfig is the move of the demo. The shop goes on until the file stop is there, answers with the file stopped, and
// goes on at the target when the file start is there.
const demoConfig = `procedure: downtime-optimized
source: {url: "sqlite:source.db"}
target: {url: "sqlite:target.db"}
tables: {uptime: [orders, lines, accounts]}
application:
  stop: touch stop; while [ ! -e stopped ]; do sleep 0.05; done
  start: touch start
`

func (p *program) demoCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "demo", Args: cobra.NoArgs, Short: "Show the whole story on SQLite files, with programs writing to them",
		Long: "Makes a shop in an SQLite file, lets several sessions trade in it, and moves it to another file while they do.\n" +
			"With --dir the files stay, report.json among them.",
		RunE: failing(func(cmd *cobra.Command, _ []string) error {
			if dir != "" {
				return p.demo(cmd.Context(), dir)
			}
			temporary, err := os.MkdirTemp("", "whimbrel-demo-")
			if err != nil {
				return fmt.Errorf("make a folder for the demo: %w", err)
			}
			return errors.Join(p.demo(cmd.Context(), temporary), os.RemoveAll(temporary))
		}),
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the folder to do it in, new or empty; it is kept")
	return cmd
}

// demo makes the shop, opens it, moves it while it trades, and looks whether anything was lost.
func (p *program) demo(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the demo's folder: %w", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		return &exitError{code: exitUsage, cause: errors.Join(fmt.Errorf("%s is not an empty folder", dir), err)}
	}
	if err := os.WriteFile(filepath.Join(dir, "whimbrel.yaml"), []byte(demoConfig), 0o600); err != nil {
		return err
	}
	fmt.Fprintln(p.out, "making a shop of 150,000 rows in source.db")
	s := &shop{dir: dir}
	if err := s.build(); err != nil {
		return fmt.Errorf("make the shop: %w", err)
	}
	fmt.Fprintln(p.out, "three sessions trade in it while it is moved to target.db")
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.open(ctx); err != nil {
			cancel(fmt.Errorf("trade: %w", err))
		}
	})
	mover := *p
	mover.config = filepath.Join(dir, "whimbrel.yaml")
	err := mover.conduct(ctx, going{yes: true}, func(ctx context.Context, m *move.Move, q procedure.Questions) (procedure.Outcome, error) {
		outcome, err := m.Run(ctx, q)
		return outcome, errors.Join(err, context.Cause(ctx))
	})
	cancel(nil)
	wg.Wait()
	if err != nil {
		return err
	}
	return p.look(s)
}

// look closes the shop's books: what the application knows must be what the target holds.
func (p *program) look(s *shop) error {
	report, err := os.ReadFile(filepath.Join(s.dir, ".whimbrel", "report.json"))
	if err != nil {
		return fmt.Errorf("find the report: %w", err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "report.json"), report, 0o600); err != nil {
		return err
	}
	wrong, err := s.audit()
	if err != nil {
		return fmt.Errorf("audit the shop: %w", err)
	}
	if wrong != "" {
		return errors.New("the moved shop is wrong: " + wrong)
	}
	fmt.Fprintf(p.out, "\nThe shop made %s trades at the source and %s at the target; its books balance.\n",
		move.Figure(s.trades[0].Load()), move.Figure(s.trades[1].Load()))
	return nil
}
