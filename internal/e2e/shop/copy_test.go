package shop

import (
	"errors"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/internal/e2e/oracle"
	"github.com/whimbrel/whimbrel/internal/testserver"
)

// TestACopyByTheProductsOwnToolsIsEqual holds the judge against the shop's own data, where nothing of Whimbrel took part:
// a dump that was restored is equal, and the application's next writes make it different.
func TestACopyByTheProductsOwnToolsIsEqual(t *testing.T) {
	for product, start := range map[string]func(testing.TB) string{"postgres": testserver.Postgres, "mariadb": testserver.MariaDB, "sqlite": testserver.SQLite} {
		t.Run(product, func(t *testing.T) {
			from, to := start(t), start(t)
			s, err := Open(from, "", Options{Seed: 11, Accounts: 50, Sessions: 2})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.Create(t.Context()); err != nil {
				t.Fatal(err)
			}
			a, b := looker(t, from), looker(t, to)
			if product == "sqlite" { // its dump loses the smallest numbers
				err = a.Script("VACUUM INTO '" + strings.TrimPrefix(to, "sqlite:") + "';\n")
			} else {
				err = b.Script(dump(t, product, from))
			}
			if err != nil {
				t.Fatal(err)
			}
			v, err := oracle.Compare(a, b)
			if err != nil || !v.Equal() || len(v.Rows) != 14 || v.Rows["types"] != 150 {
				t.Fatalf("%v: %v %v", err, v.Rows, v.Differences)
			}
			one := &session{shop: s, rng: rand.New(rand.NewPCG(3, 3))}
			for _, d := range []deed{{name: "change types", do: one.changeTypes}, {name: "change line", do: one.changeLine}, {name: "log line", do: one.logLine}} {
				for range 5 {
					if err := one.transact(t.Context(), d); err != nil && judge(err) != conflict && !errors.Is(err, errUndo) {
						t.Fatal(err)
					}
				}
			}
			if v, err := oracle.Compare(a, b); err != nil || len(v.Differences) != 4 {
				t.Errorf("%v: differences in %v", err, v.Differences)
			}
		})
	}
}

func looker(t *testing.T, at string) *oracle.Database {
	t.Helper()
	d, err := oracle.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// dump writes a database as statements, with the product's own tool.
func dump(t *testing.T, product, at string) string {
	t.Helper()
	c := exec.Command("pg_dump", "--no-owner", at)
	if product == "mariadb" {
		u, err := url.Parse(at)
		if err != nil {
			t.Fatal(err)
		}
		c = exec.Command("mariadb-dump", "--no-defaults", "--hex-blob", "--default-character-set=utf8mb4", "-h", u.Hostname(), "-P", u.Port(), "-u", u.User.Username(), strings.TrimPrefix(u.Path, "/"))
		c.Env = append(os.Environ(), "MYSQL_PWD="+testserver.Password)
	}
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s: %v", c.Path, err)
	}
	return string(out)
}
