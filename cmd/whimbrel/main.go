// Whimbrel moves the database of a live application to another database product in one procedure with one short downtime.
// This package is its command line: flags, wiring, exit codes. It is the only place that knows all drivers.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/mysql"
	"github.com/whimbrel/whimbrel/db/postgres"
	"github.com/whimbrel/whimbrel/db/sqlite"
	"github.com/whimbrel/whimbrel/internal/move"
	"github.com/whimbrel/whimbrel/internal/plain"
)

// The exit codes.
const (
	exitDone    = 0
	exitFailed  = 1 // or forbidden
	exitUsage   = 2 // or a mistake in the configuration
	exitWaiting = 3 // for an answer
)

// memory is how much the garbage collector lets the program grow before it works harder: a value of 64 MiB leaves several
// times its size behind on its way. GOMEMLIMIT, where it is set, counts instead.
const memory = 160 << 20

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memory)
	}
	ctx, stop := interruptible()
	p := &program{in: os.Stdin, out: os.Stdout, err: os.Stderr, drivers: []driver.Driver{postgres.Driver, mysql.Driver, sqlite.Driver}}
	code := p.execute(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// interruptible returns a context that ends at the first signal to stop; the second one ends the process.
func interruptible() (context.Context, func()) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
}

// program is the command line with everything that it touches.
type program struct {
	in       *os.File
	out, err io.Writer // what names and servers say can not play with a terminal there
	terminal *os.File  // where out is one; nil when it is none
	drivers  []driver.Driver
	config   string // the path of the configuration
	show     bool   // --show-values
}

// exitError ends the program with a code; without a cause it has been said already why.
type exitError struct {
	code  int
	cause error
}

func (e *exitError) Error() string {
	if e.cause == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.cause.Error()
}

func (e *exitError) Unwrap() error { return e.cause }

// execute runs one command and returns its exit code.
func (p *program) execute(ctx context.Context, args []string) int {
	if out, ok := p.out.(*os.File); ok && term.IsTerminal(int(out.Fd())) {
		p.terminal = out
	}
	p.out, p.err = plain.Writer{To: p.out}, plain.Writer{To: p.err}
	root := p.root()
	root.SetArgs(args)
	root.SetOut(p.out)
	root.SetErr(p.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	var exit *exitError
	var config *move.ConfigError
	code := exitUsage // what cobra itself refuses
	switch {
	case errors.As(err, &config):
		err = config
	case errors.As(err, &exit):
		code, err = exit.code, exit.cause
	}
	if err != nil {
		fmt.Fprintln(p.err, "whimbrel:", plain.Lines(err.Error()))
	}
	return code
}

// root is the whole command line.
func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "whimbrel",
		Short:         "Moves the database of a live application to another database product with one short downtime",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().StringVar(&p.config, "config", "whimbrel.yaml", "the configuration of the move")
	root.AddCommand(p.initCommand(), p.checkCommand(), p.runCommand(), p.answerCommand(), p.statusCommand(), p.repeatCommand(),
		p.resetCommand(), p.verifyCommand(), p.reportCommand(), p.demoCommand(), p.versionCommand())
	return root
}

// showing adds the flag that lets errors hold values.
func (p *program) showing(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&p.show, "show-values", false, "where a release's rule fails on a row, show the row's cells: on the screen, in the log and in the report")
}

// failing makes a command's errors end the program with code 1, unless they say another.
func failing(do func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := do(cmd, args)
		var exit *exitError
		if err == nil || errors.As(err, &exit) {
			return err
		}
		return &exitError{code: exitFailed, cause: err}
	}
}

// load reads the configuration.
func (p *program) load() (*move.Config, error) {
	var schemes []string
	for _, d := range p.drivers {
		schemes = append(schemes, d.Schemes()...)
	}
	return move.Load(p.config, schemes, os.LookupEnv)
}

// folder is where what a move remembers lies: beside its configuration.
func (p *program) folder() string { return filepath.Join(filepath.Dir(p.config), ".whimbrel") }
