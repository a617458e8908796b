package move

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/failpoint"
	"github.com/whimbrel/whimbrel/internal/release"
)

// scripting is one part of a release that runs against a place of a database.
type scripting struct {
	step, part string
	scripts    release.Scripts
	db         *driver.Database
	url        *url.URL // of the account that runs it
	place      string
}

// runScripts runs migrations that have not run yet, and then the command. What the build's migrations note is taken away at once,
// because each build begins from nothing; of the others it stays until the end, so that they are not run twice.
func (m *Move) runScripts(ctx context.Context, s scripting) error {
	if s.scripts.Migrations != "" {
		if err := m.migrate(ctx, s); err != nil {
			return err
		}
		failpoint.Hit("scripts.migrate.after")
	}
	if s.scripts.Command == "" {
		return nil
	}
	environment, err := m.environment(s)
	if err != nil {
		return err
	}
	alone, err := m.claimCommand(s.part)
	if err != nil {
		return fmt.Errorf("%s: %w", s.scripts.Place, err)
	}
	defer alone.Close()
	do := shell{dir: m.config.New.Folder, line: s.scripts.Command, environment: environment, without: m.config.Private, holds: alone}
	if err := do.run(ctx); err != nil {
		if ctx.Err() != nil {
			return err
		}
		return fmt.Errorf("%s: %w; mend it and run the same command again", s.scripts.Place, err)
	}
	return nil
}

// claimCommand returns a file that one command of a part holds at a time, as long as it or anything that it has started runs: a command can
// outlive the process of ours that began it, and must not run twice at one time.
func (m *Move) claimCommand(part string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(m.state.Dir(), "command-"+part), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, errors.New("the command of an earlier process of this move is still running, or what it has left in the background; wait until it has ended, or end it, and run the same command again")
	}
	return f, nil
}

func (m *Move) migrate(ctx context.Context, s scripting) error {
	pool, err := s.db.Scripts.Pool(ctx, s.url, s.place)
	if err != nil {
		return err
	}
	defer pool.Close()
	if s.part != "build" {
		if err := m.ownVersions(ctx, s, pool); err != nil {
			return err
		}
	}
	err = m.config.New.Migrate(ctx, s.part, s.scripts, s.db.Scripts.Dialect(), pool)
	switch {
	case err != nil && s.part != "build" && !s.db.Info.Limits.TransactDDL && ctx.Err() == nil:
		return fmt.Errorf("%w; this product takes no DDL back: take away first what the migration's earlier statements have made", err)
	case err != nil || s.part != "build":
		return err
	}
	return release.Forget(ctx, s.part, pool)
}

// ownVersions makes sure that what migrations note is of this move: by what another one has left they would be passed over. Again: does
// nothing.
func (m *Move) ownVersions(ctx context.Context, s scripting, pool *sql.DB) error {
	var ours bool
	if _, err := m.state.Document(ctx, versionsKey(s.part), &ours); err != nil || ours {
		return err
	}
	if err := release.Forget(ctx, s.part, pool); err != nil {
		return fmt.Errorf("%w; another move has left it: drop it, and run the same command again", err)
	}
	return m.state.SetDocument(ctx, versionsKey(s.part), true)
}

// versionsKey is the document that says that a part's migrations have left notes at the target.
func versionsKey(part string) string { return "versions/" + part }

// forgetVersions takes the notes of migrations away from the target. Again: does nothing.
func (m *Move) forgetVersions(ctx context.Context, parts ...string) error {
	for _, part := range parts {
		var there bool
		if _, err := m.state.Document(ctx, versionsKey(part), &there); err != nil {
			return err
		}
		if !there {
			continue
		}
		s, err := m.updating(ctx, "", part, release.Scripts{})
		if err != nil {
			return err
		}
		pool, err := s.db.Scripts.Pool(ctx, s.url, s.place)
		if err != nil {
			return err
		}
		if err := errors.Join(release.Forget(ctx, part, pool), pool.Close()); err != nil {
			return err
		}
		if err := m.state.DeleteDocument(ctx, versionsKey(part)); err != nil {
			return err
		}
	}
	return nil
}

// updating is a part that runs at the target by the account of the update.
func (m *Move) updating(ctx context.Context, step, part string, scripts release.Scripts) (scripting, error) {
	target, err := m.target(ctx)
	if err != nil {
		return scripting{}, err
	}
	u, err := m.config.updater()
	return scripting{step, part, scripts, target, u, m.home()}, err
}

// addressVariable is the variable with the URL of the place that a command works on.
const addressVariable = "WHIMBREL_URL"

// environment is what a command of the release is told.
func (m *Move) environment(s scripting) ([]string, error) {
	told := []string{"WHIMBREL_RELEASE=" + m.config.New.Version, "WHIMBREL_STEP=" + s.step}
	if s.db.Scripts == nil {
		return told, nil
	}
	address, err := s.db.Scripts.Address(s.url, s.place)
	return append(told, addressVariable+"="+address), err
}

// healthy returns when the application has answered, or with an error when it has not within its time. Again: asks anew.
func healthy(ctx context.Context, h release.Health, folder string, environment []string) error {
	if !h.Asked() {
		return nil
	}
	for end := time.Now().Add(h.Within); ; {
		err := answers(ctx, h, folder, environment)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if time.Now().Add(h.Every).After(end) {
			return fmt.Errorf("%s: the application has not answered within %s, the last time: %w; see why it does not, and run the same command again", h.Place, h.Within, err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(h.Every):
		}
	}
}

// answers asks once.
func answers(ctx context.Context, h release.Health, folder string, environment []string) error {
	ctx, cancel := context.WithTimeout(ctx, h.Within)
	defer cancel()
	if h.URL == "" {
		return command(ctx, folder, h.Command, environment)
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL, nil)
	if err != nil {
		return errors.New("its url is none that can be asked")
	}
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		var of *url.Error // its text has the whole address
		if errors.As(err, &of) {
			err = of.Err
		}
		return fmt.Errorf("ask %s: %w", Mask(q.URL), err)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<20))
	_ = answer.Body.Close()
	if answer.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s answers %s", Mask(q.URL), answer.Status)
	}
	return nil
}
