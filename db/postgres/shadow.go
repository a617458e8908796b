package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/whimbrel/whimbrel/db/driver"
)

// shadows are schemas of our own, each with a comment that says which run has made it. Whoever owns a schema may drop whatever is
// in it; whoever is a member of a role may take over what it owns. So our role must be a member of the build's.
type shadows struct{ db *database }

//go:embed sql/contents.sql
var contents string

// patient is how long a call waits for a lock on what others might use.
const patient = "SET LOCAL lock_timeout = '10s';"

// mark is the comment on a schema that this run has made.
func (h shadows) mark() string { return "shadow of the whimbrel run " + runLabel(h.db.options) }

// standing of a place.
type standingPlace int

const (
	nowhere standingPlace = iota // there is no such schema
	ours                         // this run has made it
	theirs                       // somebody else has
)

// at says whose a place is.
func (h shadows) at(ctx context.Context, s *session, place string) (standingPlace, error) {
	const query = `SELECT coalesce(obj_description(oid, 'pg_namespace'), '') = $2 AND pg_has_role(nspowner, 'USAGE')
		FROM pg_namespace WHERE nspname = $1`
	r, err := s.query(ctx, query, place, h.mark())
	switch {
	case err != nil:
		return nowhere, err
	case len(r.Rows) == 0:
		return nowhere, nil
	case yes(r.Rows[0][0]):
		return ours, nil
	}
	return theirs, nil
}

var errTheirs = &failure{class: driver.Exists, err: errors.New("the schema is there and this run has not made it: name another one, or drop it")}

// inside begins a transaction in which one process at a time changes the place, which must be this run's.
func (h shadows) inside(ctx context.Context, s *session, place, begin string) error {
	if err := s.exec(ctx, begin+"; "+patient); err != nil {
		return err
	}
	at, err := h.at(ctx, s, place)
	switch {
	case err != nil:
		return err
	case at == theirs:
		return errTheirs
	case at == nowhere:
		return &failure{class: driver.Missing, err: errors.New("the schema is not there")}
	}
	return nil
}

// alone lets one process at a time make and drop places.
func alone() string { return "BEGIN; SELECT pg_advisory_xact_lock(" + itoa(lockClass) + ", -2)" }

// Make makes the schema and gives it to the account.
func (h shadows) Make(ctx context.Context, s driver.Shadow) error {
	l, err := h.db.keeper(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	defer l.rollback(ctx)
	if err := h.make(ctx, l.session, s); err != nil {
		return fmt.Errorf("make the shadow %s: %w", s.Place, err)
	}
	return nil
}

func (h shadows) make(ctx context.Context, s *session, want driver.Shadow) error {
	if n := len(want.Place); n == 0 || n > 63 {
		return fmt.Errorf("the name of a schema has 1 to 63 bytes, this one %d: name another one", n)
	}
	if err := s.exec(ctx, alone()+"; "+patient); err != nil {
		return err
	}
	if err := h.account(ctx, s, want.Account); err != nil {
		return err
	}
	at, err := h.at(ctx, s, want.Place)
	if err != nil {
		return err
	}
	if at == theirs {
		return errTheirs
	}
	place, account := quote(want.Place), quote(want.Account)
	if at == nowhere {
		err := s.exec(ctx, "CREATE SCHEMA "+place+"; COMMENT ON SCHEMA "+place+" IS "+literal(h.mark())+";"+onlyOwner(want.Place))
		if err != nil {
			return err
		}
	}
	if err := s.exec(ctx, "GRANT USAGE, CREATE ON SCHEMA "+place+" TO "+account); err != nil {
		return err
	}
	return s.commit(ctx)
}

// onlyOwner takes away what default privileges have given others on a new schema.
func onlyOwner(place string) string {
	body := `DECLARE who text; BEGIN FOR who IN SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(r.rolname) END
		FROM pg_namespace n CROSS JOIN aclexplode(n.nspacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
		WHERE n.nspname = ` + literal(place) + ` AND a.grantee <> n.nspowner
		LOOP EXECUTE ` + literal("REVOKE ALL ON SCHEMA "+quote(place)+" FROM ") + ` || who || ' CASCADE'; END LOOP; END`
	return "DO " + literal(body) + ";"
}

// account checks that the account is there and that we may take over what it makes.
func (h shadows) account(ctx context.Context, s *session, name string) error {
	if name == "" {
		return errors.New("no account is named that builds in it: name it in the URL of the shadow")
	}
	r, err := s.query(ctx, "SELECT "+h.db.takesOver()+", quote_ident(rolname), quote_ident(current_user) FROM pg_roles WHERE rolname = $1", name)
	switch {
	case err != nil:
		return err
	case len(r.Rows) == 0:
		return &failure{class: driver.Missing, err: fmt.Errorf("there is no role %s: CREATE ROLE %s LOGIN PASSWORD '…', and grant it nothing", name, quote(name))}
	case !yes(r.Rows[0][0]):
		return &failure{class: driver.Refused, err: fmt.Errorf("our role is no member of %s and may not take over what it makes: GRANT %s TO %s", name, r.Rows[0][1], r.Rows[0][2])}
	}
	return nil
}

// takesOver is a condition on a line of pg_roles: that we may own what the role owns, and give it what we own.
func (db *database) takesOver() string {
	if db.version >= 160000 {
		return "(pg_has_role(oid, 'USAGE') AND pg_has_role(oid, 'SET'))"
	}
	return "pg_has_role(oid, 'USAGE')"
}

// endBuild ends the sessions of the account that builds: a program of the release may have outlived the process of ours that began
// it, hold locks, or go on building.
func (s *session) endBuild(ctx context.Context, account string) error {
	const end = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = $1
		AND usename NOT IN (current_user, session_user)`
	_, err := s.query(ctx, end, account)
	return err
}

// Drop drops the schema with what is in it, unless that took something along that stands elsewhere, and ends whoever still builds.
func (h shadows) Drop(ctx context.Context, s driver.Shadow) error {
	l, err := h.db.keeper(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	defer l.rollback(ctx)
	if err := h.drop(ctx, l.session, s); err != nil {
		return fmt.Errorf("drop the shadow %s: %w", s.Place, err)
	}
	return nil
}

func (h shadows) drop(ctx context.Context, s *session, want driver.Shadow) error {
	if err := s.exec(ctx, alone()+"; "+patient); err != nil {
		return err
	}
	at, err := h.at(ctx, s, want.Place)
	if err != nil || at != ours {
		return err
	}
	all, err := s.contents(ctx, want.Place)
	if err != nil {
		return err
	}
	if err := s.endBuild(ctx, want.Account); err != nil {
		return err
	}
	if err := s.dropping(ctx, untouched, all, "DROP SCHEMA "+quote(want.Place)+" CASCADE"); err != nil {
		return err
	}
	return s.commit(ctx)
}

// object is something that stands by itself in a schema.
type object struct {
	class, id string // in the catalog
	what      string // table, view, function, …
	name      string // in full, as statements have it
	part      bool   // of another object
}

// contents lists what is in a schema.
func (s *session) contents(ctx context.Context, place string) ([]object, error) {
	all, err := s.objects(ctx, contents, place)
	if err != nil {
		return nil, fmt.Errorf("list what is in the schema %s: %w", place, err)
	}
	return all, nil
}

// objects reads a list of objects.
func (s *session) objects(ctx context.Context, query, place string) ([]object, error) {
	r, err := s.query(ctx, query, place)
	if err != nil {
		return nil, err
	}
	all := make([]object, len(r.Rows))
	for i, v := range r.Rows {
		all[i] = object{class: string(v[0]), id: string(v[1]), what: string(v[2]), name: string(v[3]), part: yes(v[4])}
	}
	return all, nil
}
