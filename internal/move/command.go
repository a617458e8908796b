package move

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// command runs one of the operator's commands with the shell, in the configuration's folder, and returns when it has ended;
// what it leaves running in the background goes on. An empty command does nothing. Its output is passed to standard
// error afterwards, and the error ends with its last line. When the context ends, the command and whatever it started
// are told to end, and killed after ten seconds.
func command(ctx context.Context, dir, line string, environment []string) error {
	return shell{dir: dir, line: line, environment: environment}.run(ctx)
}

// shell is a command line with what it finds when it runs.
type shell struct {
	dir, line   string
	environment []string // what is added to ours
	without     []string // variables of ours that it does not get
	holds       *os.File // nil, or a file that it holds open as long as it runs
	told        *string  // nil, or where the last line of its output goes instead of all of it to standard error
}

func (c shell) run(ctx context.Context) error {
	line := c.line
	if line == "" {
		return nil
	}
	// A file and not a pipe: a pipe would be waited for as long as anything that the command started holds it.
	output, err := os.CreateTemp("", "whimbrel-command-")
	if err != nil {
		return fmt.Errorf("run %q: %w", line, err)
	}
	defer output.Close()
	defer os.Remove(output.Name())

	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", line)
	kept := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains(c.without, name)
	})
	cmd.Dir, cmd.Env = c.dir, append(kept, c.environment...)
	if c.holds != nil {
		cmd.ExtraFiles = []*os.File{c.holds}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Stdout, cmd.Stderr = output, output
	failed := cmd.Run()
	said := masked(c.lastLine(output), c.environment)
	switch {
	case failed == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case said != "":
		return fmt.Errorf("run %q: %w: %s", line, failed, said)
	}
	return fmt.Errorf("run %q: %w", line, failed)
}

// masked hides a URL that a command was given, and its password, in what the command has said: it goes into the journal and the report.
func masked(said string, environment []string) string {
	for _, v := range environment {
		address, is := strings.CutPrefix(v, addressVariable+"=")
		if !is {
			continue
		}
		u, err := url.Parse(address)
		if err != nil {
			return hidden
		}
		said = strings.ReplaceAll(said, address, Mask(u))
		password, has := u.User.Password()
		if !has || password == "" {
			continue
		}
		_, escaped, _ := strings.Cut(u.User.String(), ":")
		for _, form := range []string{password, escaped, url.QueryEscape(password), url.PathEscape(password)} {
			said = strings.ReplaceAll(said, form, hidden)
		}
	}
	return said
}

// lastLine passes a command's output on and returns the last line of it.
func (c shell) lastLine(output *os.File) string {
	if _, err := output.Seek(0, io.SeekStart); err != nil {
		return ""
	}
	text, err := io.ReadAll(io.LimitReader(output, 1<<20))
	if err != nil {
		return ""
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	last := string(bytes.TrimSpace(lines[len(lines)-1]))
	if c.told == nil {
		_, _ = os.Stderr.Write(text)
		return last
	}
	*c.told = last
	return last
}
