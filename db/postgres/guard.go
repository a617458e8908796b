package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// guard is a trigger before every statement that writes to a table of the target; it lets sessions through whose setting
// whimbrel.run is this move's, and those of the accounts that the trigger's comment names, whatever role they take on.
type guard struct{ db *database }

// Shut refuses others' writes.
func (g guard) Shut(ctx context.Context, t *schema.Table, epoch int64) error {
	l, err := g.db.keeper(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	defer l.rollback(ctx)
	body := `BEGIN IF current_setting('whimbrel.run', true) IS NOT DISTINCT FROM ` + anywhere(runLabel(g.db.options)) + ` OR session_user::text = ANY (
			(SELECT obj_description(oid, 'pg_trigger') FROM pg_trigger WHERE tgrelid = TG_RELID AND tgname = TG_NAME)::text[]) THEN RETURN NULL; END IF;
		RAISE EXCEPTION 'table %.% is being filled by a move and takes no other writes', TG_TABLE_SCHEMA, TG_TABLE_NAME
			USING ERRCODE = '25006', HINT = 'It opens when the move says so.'; END`
	function := ourSchema(targetSchema) + `CREATE OR REPLACE FUNCTION whimbrel_target.guard() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
		AS ` + literal(body) + ";"
	err = l.ours(ctx, epoch)
	if err == nil {
		err = l.exec(ctx, "SELECT pg_advisory_xact_lock("+itoa(lockClass)+", -1);"+function+g.trigger(t)+"COMMIT")
	}
	if err != nil {
		return fmt.Errorf("guard %s: %w", t.Name, err)
	}
	return nil
}

// trigger plans the guard's trigger of one table.
func (g guard) trigger(t *schema.Table) string {
	return triggerDDL(trigger("guard", t), "BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE", g.db.dialect().table(t.Name),
		"FOR EACH STATEMENT", "whimbrel_target.guard")
}

// Admit writes the account into the trigger's comment, which goes with the trigger.
func (g guard) Admit(ctx context.Context, t *schema.Table, account string) error {
	l, err := g.db.keeper(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	if account == "" {
		account = g.db.config.User
	}
	const look = `SELECT (coalesce(obj_description(oid, 'pg_trigger')::text[], '{}') || CASE WHEN $3 = ANY (obj_description(oid, 'pg_trigger')::text[])
			THEN '{}' ELSE ARRAY[$3] END)::text FROM pg_trigger WHERE tgrelid = to_regclass($1) AND tgname = $2`
	table, name := g.db.dialect().table(t.Name), trigger("guard", t)
	r, err := l.query(ctx, look, table, name, account)
	if err == nil && len(r.Rows) > 0 {
		err = l.exec(ctx, "COMMENT ON TRIGGER "+name+" ON "+table+" IS "+literal(string(r.Rows[0][0])))
	}
	if err != nil {
		return fmt.Errorf("admit %s to %s: %w", account, t.Name, err)
	}
	return nil
}

// Stands reads the trigger's line in the catalog: its transaction is another one after it was switched off and on.
func (g guard) Stands(ctx context.Context, t *schema.Table) (string, error) {
	l, err := g.db.keeper(ctx)
	if err != nil {
		return "", err
	}
	defer l.release()
	const look = `SELECT concat_ws(' ', t.oid, t.xmin, t.tgenabled, md5(p.prosrc)) FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid
		WHERE t.tgrelid = to_regclass($1) AND t.tgname = $2 AND t.tgenabled = 'A'`
	r, err := l.query(ctx, look, g.db.dialect().table(t.Name), trigger("guard", t))
	if err != nil {
		return "", fmt.Errorf("look at the guard of %s: %w", t.Name, err)
	}
	if len(r.Rows) == 0 {
		return "", nil
	}
	return string(r.Rows[0][0]), nil
}

// opening drops the guard's triggers of tables by the triggers' names: a release may have given a table another one since.
func opening(tables ...*schema.Table) string {
	names := make([]string, len(tables))
	for i, t := range tables {
		names[i] = literal(trigger("guard", t))
	}
	return "DO " + literal(`DECLARE one record; BEGIN
		FOR one IN SELECT t.tgrelid::regclass AS of, t.tgname AS name FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid
			WHERE p.pronamespace = to_regnamespace('whimbrel_target') AND p.proname = 'guard' AND t.tgname IN (`+strings.Join(names, ", ")+`)
		LOOP EXECUTE format('DROP TRIGGER IF EXISTS %I ON %s', one.name, one.of); END LOOP; END`) + ";"
}

// vacate asks for the weakest lock that autovacuum's excludes: the server ends a vacuum or analyze for whoever has waited for it for
// deadlock_timeout. Readers and writers do not notice the lock, and it is given back at once.
func (db *database) vacate(ctx context.Context, t *schema.Table) error {
	l, err := db.worker(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	defer l.rollback(ctx)
	if err := l.script(ctx, lockTimeout(vacating)+db.hurried()+"LOCK TABLE "+db.dialect().table(t.Name)+" IN SHARE UPDATE EXCLUSIVE MODE"); err != nil {
		return fmt.Errorf("have vacuum leave %s: %w", t.Name, err)
	}
	return nil
}

// hurried has the server end a vacuum of its own at once for whoever waits for a lock in this transaction, and not after a second: where
// the account may say so.
func (db *database) hurried() string {
	may := "current_setting('is_superuser')::bool"
	if db.version >= 150000 {
		may = "has_parameter_privilege('deadlock_timeout', 'SET')"
	}
	return "SELECT set_config('deadlock_timeout', '20ms', true) WHERE " + may + ";"
}

// vacating is how long vacate waits: some multiple of deadlock_timeout as servers usually have it, a second.
const vacating = 5 * time.Second

// opened is how long Open waits for others: longer than for the server's own vacuum, which gives way, unless it saves transaction numbers.
const opened = 10 * time.Second

// Open lets everybody write.
func (g guard) Open(ctx context.Context, t *schema.Table) error {
	l, err := g.db.keeper(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	defer l.rollback(ctx)
	switch err := l.script(ctx, lockTimeout(opened)+g.db.hurried()+opening(t)); {
	case err == nil || classify(err) == driver.Missing:
		l.rollback(ctx)
	case classify(err) == driver.Transient:
		l.rollback(ctx)
		who, _ := l.anybody(ctx, []string{g.db.dialect().table(t.Name)})
		return fmt.Errorf("open %s: somebody is at it: %s: %w", t.Name, strings.Join(who, "; "), err)
	default:
		return fmt.Errorf("open %s: %w", t.Name, err)
	}
	if err := l.dropGuard(ctx); err != nil {
		return fmt.Errorf("open %s: %w", t.Name, err)
	}
	return l.dropSchema(ctx, targetSchema)
}

// dropGuard drops the guard's function if no table is guarded any more.
func (s *session) dropGuard(ctx context.Context) error {
	left, err := s.withTriggers(ctx, "whimbrel_target.guard")
	if err != nil || len(left) > 0 {
		return err
	}
	err = s.exec(ctx, "DROP FUNCTION IF EXISTS whimbrel_target.guard()")
	var server *pgconn.PgError
	if classify(err) == driver.Missing || errors.As(err, &server) && server.Code == "2BP01" {
		return nil
	}
	return err
}
