package postgres

import (
	"context"
	"fmt"

	"github.com/whimbrel/whimbrel/db/driver"
)

// rule is one question to the server with what to say when the answer is yes.
type rule struct {
	name    string
	side    driver.Side // empty: both
	level   driver.Level
	ask     string // a boolean expression
	message string
	do      string
}

var rules = []rule{
	{
		"recovery", "", driver.Forbidden, "pg_is_in_recovery()",
		"The server is a standby.", "Name the primary in the URL.",
	},
	{
		"fsync", "", driver.Lossy, "current_setting('fsync') <> 'on' OR current_setting('full_page_writes') <> 'on'",
		"fsync or full_page_writes is off: a crash of the server would lose or spoil what was committed.", "Turn both on and restart the server.",
	},
	{
		"synchronous-commit", driver.Source, driver.Note, "(SELECT reset_val IN ('off', 'local') FROM pg_settings WHERE name = 'synchronous_commit')",
		"The application's commits do not wait for the disk; each batch waits for them.", "",
	},
	{
		"prepared", driver.Source, driver.Note, "EXISTS (SELECT FROM pg_prepared_xacts WHERE database = current_database())",
		"There are prepared transactions.", "End them before the downtime: none may be left when the source is shut.",
	},
	{
		"subscription", driver.Source, driver.Note,
		"EXISTS (SELECT FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = current_database())",
		"A subscription writes to this database; changes are noted row by row.", "Disable it in the downtime before the source is shut.",
	},
	{
		"large-objects", driver.Source, driver.Note, "EXISTS (SELECT FROM pg_largeobject_metadata)",
		"There are large objects, which are not moved.", "Move them by hand, or keep their content in bytea columns.",
	},
	{
		"sql-ascii", driver.Source, driver.Lossy, "current_setting('server_encoding') = 'SQL_ASCII'",
		"The database's encoding is SQL_ASCII: its text may be in any encoding.", "Make sure that all text is UTF-8; a value that is not stops its table.",
	},
	{
		"not-utf8", driver.Target, driver.Forbidden, "current_setting('server_encoding') <> 'UTF8'",
		"The database's encoding is not UTF8, so that not every text can be kept.", "Create the target database with ENCODING 'UTF8'.",
	},
	{
		"plpgsql", "", driver.Forbidden, "NOT EXISTS (SELECT FROM pg_language WHERE lanname = 'plpgsql')",
		"The language plpgsql is missing, which every trigger of ours needs.", "CREATE EXTENSION plpgsql.",
	},
	{
		"event-trigger", "", driver.Note, "EXISTS (SELECT FROM pg_event_trigger WHERE evtenabled <> 'D')",
		"An event trigger runs when we make tables or triggers.", "See that it lets names that begin with whimbrel_ pass.",
	},
}

// Settings asks the server every rule of this side.
func (db *database) Settings(ctx context.Context) ([]driver.Notice, error) {
	l, err := db.keeper(ctx)
	if err != nil {
		return nil, err
	}
	defer l.release()
	var all []driver.Notice
	for _, r := range rules {
		if r.side != "" && r.side != db.options.Side {
			continue
		}
		got, err := l.query(ctx, "SELECT "+r.ask)
		if err != nil {
			return nil, fmt.Errorf("ask the server about %s: %w", r.name, err)
		}
		if yes(got.Rows[0][0]) {
			all = append(all, driver.Notice{Rule: r.name, Level: r.level, Message: r.message, Do: r.do})
		}
	}
	if why := exposed(db.config); why != "" {
		all = append(all, driver.Notice{Rule: "exposed", Level: driver.Note, Message: why, Do: "Write sslmode=verify-full, and sslrootcert=FILE where the certificate is of an authority of your own."})
	}
	return all, nil
}
