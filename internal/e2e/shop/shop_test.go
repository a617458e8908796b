package shop

import (
	"context"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/internal/e2e/oracle"
	"github.com/whimbrel/whimbrel/internal/testserver"
)

func TestMain(m *testing.M) { testserver.Main(m) }

// gates refuse writes to one busy table, each in its product's way, as a stand-in for the gate that a move shuts.
var gates = map[string][]string{
	"postgres": {
		`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''whimbrel has shut this table''; END'`,
		`CREATE TRIGGER refuse BEFORE INSERT OR UPDATE OR DELETE ON "order" EXECUTE FUNCTION refuse()`,
	},
	"mariadb": {"CREATE TRIGGER refuse BEFORE UPDATE ON `order` FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT='whimbrel has shut this table'"},
	"sqlite":  {`CREATE TRIGGER refuse BEFORE UPDATE ON "order" BEGIN SELECT RAISE(ABORT, 'whimbrel has shut this table'); END`},
}

func TestTheShopKeepsItsRulesUntilItIsRefused(t *testing.T) {
	for product, start := range map[string]func(testing.TB) string{"postgres": testserver.Postgres, "mariadb": testserver.MariaDB, "sqlite": testserver.SQLite} {
		t.Run(product, func(t *testing.T) {
			at := start(t)
			s, err := Open(at, "", Options{Seed: 7, Accounts: 100, Sessions: 4})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.Create(t.Context()); err != nil {
				t.Fatal(err)
			}
			judge, err := oracle.Open(at)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			tally, err := s.Run(ctx)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", tally)
			for _, d := range (&session{shop: s}).deeds() {
				if tally.Deeds[d.name] == 0 && tally.Committed > 2000 {
					t.Errorf("%s never committed", d.name)
				}
			}
			if tally.Committed < 50 || tally.RolledBack == 0 || !tally.Refused.IsZero() {
				t.Errorf("%+v", tally)
			}
			for _, r := range s.Rules() {
				if got, err := judge.Value(r.SQL); err != nil || got != "0" {
					t.Errorf("%s: %s times (%v)", r.Name, got, err)
				}
			}
			for _, sql := range gates[product] {
				if _, err := s.db.Exec(sql); err != nil {
					t.Fatal(err)
				}
			}
			tally, err = s.Run(t.Context())
			if err != nil || tally.Refused.IsZero() {
				t.Errorf("not refused: %+v, %v", tally, err)
			}
		})
	}
}
