package move

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// command runs one of the operator's commands with the shell, in the configuration's folder, and returns when it has ended;
// what it leaves running in the background goes on. An empty command does nothing. Its output is passed to standard
// error afterwards, and the error ends with its last line. When the context ends, the command and whatever it started
// are told to end, and killed after ten seconds.
func command(ctx context.Context, dir, line string, environment []string) error {
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
	cmd.Dir, cmd.Env = dir, append(os.Environ(), environment...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Stdout, cmd.Stderr = output, output
	failed := cmd.Run()
	said := lastLine(output)
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

// lastLine passes a command's output on to standard error and returns the last line of it.
func lastLine(output *os.File) string {
	if _, err := output.Seek(0, io.SeekStart); err != nil {
		return ""
	}
	text, err := io.ReadAll(io.LimitReader(output, 1<<20))
	if err != nil {
		return ""
	}
	_, _ = os.Stderr.Write(text)
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.TrimSpace(lines[len(lines)-1]))
}
