package mysql

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
)

// shadows are databases of their own on the same server.
//
// Whose a shadow is stands in a table of ours beside the connection's other ones, not in the shadow, where its account could take
// it away. A line for a place is written when no database of that name is there, and before it is made: so a line of this run says
// that what is there is ours, and may be dropped.
type shadows struct{ *database }

// saidError is an error of our own with what it means.
type saidError struct {
	class driver.Class
	what  string
}

func (e *saidError) Error() string { return e.what }

func exists(format string, args ...any) error {
	return &saidError{driver.Exists, fmt.Sprintf(format, args...)}
}

func missing(format string, args ...any) error {
	return &saidError{driver.Missing, fmt.Sprintf(format, args...)}
}

func refused(format string, args ...any) error {
	return &saidError{driver.Refused, fmt.Sprintf(format, args...)}
}

// shadowBook makes the table of shadows: line 0 of a place is the shadow itself, in whose text are the accounts that we have let
// in; the others are what Lend or Adopt has yet to make anew (carry.go).
func (d *database) shadowBook() string {
	return "CREATE TABLE IF NOT EXISTS " + d.own("shadow") + ` (place VARCHAR(64) NOT NULL, number INT NOT NULL, run VARCHAR(40) NOT NULL,
		kind VARCHAR(20) NOT NULL, name VARCHAR(64) NOT NULL, table_name VARCHAR(64) NOT NULL, home VARCHAR(64) NOT NULL, text LONGTEXT NOT NULL,
		mode TEXT NOT NULL, collation VARCHAR(64) NOT NULL, zone VARCHAR(64) NOT NULL, PRIMARY KEY (place, number))
		ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`
}

// shadowRun reads whose shadow a place is; empty when it is nobody's.
func (d *database) shadowRun(ctx context.Context, s *session, place string) (string, error) {
	lines, err := s.rows(ctx, "SELECT run FROM "+d.own("shadow")+" WHERE place = ? AND number = 0", place)
	if err != nil && classes[number(err)] == driver.Missing {
		return "", nil
	}
	if err != nil || len(lines) == 0 {
		return "", err
	}
	return lines[0][0], nil
}

// apart does something on a session that nobody uses afterwards: its settings are changed.
func (d *database) apart(ctx context.Context, do func(s *session) error) error {
	l, err := d.control.take(ctx)
	if err != nil {
		return err
	}
	defer l.drop()
	return do(l.session)
}

// Make makes the database in the character set of our own and lets the account in.
func (d shadows) Make(ctx context.Context, s driver.Shadow) error {
	err := d.control.with(ctx, func(ses *session) error {
		if err := d.make(ctx, ses, s.Place); err != nil {
			return err
		}
		return d.letIn(ctx, ses, s)
	})
	if err != nil {
		return fmt.Errorf("make the shadow %s: %w", s.Place, err)
	}
	return nil
}

func (d shadows) make(ctx context.Context, s *session, place string) error {
	run, err := d.shadowRun(ctx, s, place)
	if err != nil {
		return err
	}
	if run != "" && run != d.options.Run {
		return exists("it is the shadow of run %s: finish or reset that move, or name another place", run)
	}
	lines, err := s.rows(ctx, "SELECT default_character_set_name, default_collation_name, schema_name = ? FROM information_schema.schemata WHERE schema_name IN (?, ?) ORDER BY 3",
		place, d.schema, place)
	if err != nil {
		return err
	}
	taken := exists("a database of this name is there already, and this run has not made it: name another place, or drop it")
	if there := lines[len(lines)-1][2] == "1"; there && run == "" {
		return taken
	} else if there {
		return nil
	}
	if run == "" {
		if err := s.run(ctx, d.shadowBook()); err != nil {
			return err
		}
		err := s.run(ctx, "INSERT INTO "+d.own("shadow")+" VALUES (?, 0, ?, 'shadow', '', '', '', '', '', '', '')", place, d.options.Run)
		if err != nil {
			return err
		}
	}
	err = s.run(ctx, "CREATE DATABASE "+quote(place)+" CHARACTER SET "+lines[0][0]+" COLLATE "+lines[0][1])
	if number(err) == 1007 { // one that we may not see
		if run == "" {
			err = d.strikeOff(ctx, s, place)
		}
		if err == nil {
			err = taken
		}
	}
	return err
}

// letIn lets the account do what it likes in the place: where it may not yet we grant it, and where we may not do so the error
// says who must.
func (d shadows) letIn(ctx context.Context, s *session, shadow driver.Shadow) error {
	if shadow.Account == "" {
		return nil // our own account builds
	}
	may, err := d.mayBuild(ctx, s, shadow)
	if may || err != nil && classes[number(err)] != driver.Refused {
		return err
	}
	accounts, known := d.accountsOf(ctx, s, shadow.Account)
	if known && len(accounts) == 0 {
		return missing("there is no account %s on this server: make it, without rights", shadow.Account)
	}
	var granted []string
	for _, account := range accounts {
		grant := letInto(shadow.Place, account)
		if err := d.grantTo(ctx, s, grant); err != nil {
			return refused("the account %s may not do what it likes there, and ours may not let it: have an administrator say %s", shadow.Account, grant)
		}
		granted = append(granted, account)
	}
	return s.run(ctx, "UPDATE "+d.own("shadow")+" SET text = ? WHERE place = ? AND number = 0", strings.Join(granted, "\x00"), shadow.Place)
}

// letInto is the statement by which an account may do what it likes in a place. It names the rights: whoever has those that a move
// needs there, and may pass them on, may not pass on all that there are.
func letInto(place, account string) string {
	return "GRANT " + strings.Join(shadowRights, ", ") + " ON " + quote(exactly(place)) + ".* TO " + account
}

// grantTo grants something to an account that is there: without care MariaDB would make the account, without a password.
func (d *database) grantTo(ctx context.Context, s *session, grant string) error {
	if d.version.maria() {
		grant = "SET STATEMENT sql_mode = 'NO_AUTO_CREATE_USER' FOR " + grant
	}
	return s.run(ctx, grant)
}

// made fails where a place is not a shadow of this run.
func (d shadows) made(ctx context.Context, s *session, place string) error {
	run, err := d.shadowRun(ctx, s, place)
	if err == nil && run != d.options.Run {
		err = missing("this run has made no shadow %s: make it first", place)
	}
	return err
}

// Drop takes back what we granted, drops the database and strikes it off, the book with the last.
func (d shadows) Drop(ctx context.Context, s driver.Shadow) error {
	err := d.apart(ctx, func(ses *session) error {
		run, err := d.shadowRun(ctx, ses, s.Place)
		if err != nil || run != d.options.Run {
			return err
		}
		lines, err := ses.rows(ctx, "SELECT text FROM "+d.own("shadow")+" WHERE place = ? AND number = 0", s.Place)
		if err != nil {
			return err
		}
		for _, account := range strings.FieldsFunc(strings.Join(slices.Concat(lines...), ""), func(r rune) bool { return r == 0 }) {
			revoke := "REVOKE " + strings.Join(shadowRights, ", ") + " ON " + quote(exactly(s.Place)) + ".* FROM " + account
			if err := ses.run(ctx, revoke); err != nil && number(err) != 1141 && number(err) != 1133 { // no such grant, no such account
				return err
			}
		}
		if err := ses.run(ctx, "SET foreign_key_checks=0"); err != nil {
			return err
		}
		if err := ses.run(ctx, "DROP DATABASE IF EXISTS "+quote(s.Place)); err != nil {
			return err
		}
		return d.strikeOff(ctx, ses, s.Place)
	})
	if err != nil {
		return fmt.Errorf("drop the shadow %s: %w", s.Place, err)
	}
	return nil
}

// strikeOff takes a place's lines out of the book, and the book away with the last.
func (d shadows) strikeOff(ctx context.Context, s *session, place string) error {
	if err := s.run(ctx, "DELETE FROM "+d.own("shadow")+" WHERE place = ?", place); err != nil {
		return err
	}
	left, err := s.rows(ctx, "SELECT 1 FROM "+d.own("shadow")+" LIMIT 1")
	if err != nil || len(left) > 0 {
		return err
	}
	return s.run(ctx, "DROP TABLE IF EXISTS "+d.own("shadow"))
}
